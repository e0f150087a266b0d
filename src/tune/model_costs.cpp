#include "tune/model_costs.h"

#include <array>

#include "capture/dense_hook.h"
#include "core/error.h"
#include "sparse/cost_measurement.h"
#include "stats/partition_request.h"

namespace sparsescope {
namespace {

// Answers with dense attention, and measures at the call of one layer.
class CostProbe : public AttentionHook {
 public:
  CostProbe(TuneSession& session, int64_t layer)
      : session_(session), layer_(layer), dense_(session.impl(), session.pool()) {}

  MemorySpace space() const override { return dense_.space(); }
  void attend(const AttentionCall& call) override {
    if (call.site.layer == layer_) measure(call);
    dense_.attend(call);
  }

  KernelCosts take() {
    SPARSESCOPE_ASSERT(costs_);
    return std::move(*costs_);
  }

 private:
  void measure(const AttentionCall& call) {
    const TuneRequest& request = session_.request();
    const std::array methods{request.method};
    std::vector<Partition> partitions;
    if (request.method == Method::kVmoba) {
      const TileGrid tiles(call.grid, request.tile);
      partitions = parse_partitions(request.partitions, tiles).partitions;
    }
    const std::vector<MethodParams> settings =
        cost_settings(methods, call.grid, request.tile, partitions, shares_heads(request.per));
    costs_ = measure_costs(call, request.tile, settings, kCostRepeats, session_.impl(),
                           session_.pool(), session_.monitor());
  }

  TuneSession& session_;
  int64_t layer_;
  DenseHook dense_;
  std::optional<KernelCosts> costs_;
};

}  // namespace

KernelCosts measure_model_costs(TuneSession& session) {
  const int64_t layer = session.model().info().layers / 2;
  const int64_t prompt = session.split().derive.front();
  CostProbe probe(session, layer);
  TrajectoryState state;
  state.latents = session.denoiser().initial_noise(prompt);
  session.denoiser().predict(state, session.loaded().prompts, prompt, Branch::kConditional, probe);
  KernelCosts costs = probe.take();
  costs.inputs = fmt::format("layer {} of the model, first step of prompt {}", layer, prompt + 1);
  costs.machine = session.request().machine;
  costs.command_line = session.request().command_line;
  return costs;
}

}  // namespace sparsescope
