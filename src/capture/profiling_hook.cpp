#include "capture/profiling_hook.h"

#include <chrono>
#include <optional>
#include <utility>

#include "capture/call_layout.h"
#include "capture/device_profile.h"
#include "capture/gate_cuts.h"
#include "capture/key_means.h"
#include "capture/row_group_reducer.h"
#include "capture/site_arrays.h"
#include "capture/window_cosine.h"
#include "core/error.h"
#include "kernels/cuda/cuda_attention.h"
#include "kernels/kernel_table.h"
#include "kernels/row_stats.h"

namespace sparsescope {
namespace {

DenseAttentionParams attention_params(const AttentionCall& call, const KeyCells& cells,
                                      const RowGroups& rows) {
  DenseAttentionParams params{.q = call.q, .k = call.k, .v = call.v};
  params.scale = call.scale;
  params.out = call.out;
  params.cells = &cells;
  params.rows = &rows;
  return params;
}

void consume_group(void* context, int worker, const RowGroupMasses& masses) {
  auto& reducers = *static_cast<std::vector<RowGroupReducer>*>(context);
  reducers[worker].add(masses);
}

void drop_group(void*, int, const RowGroupMasses&) {}

}  // namespace

struct ProfilingHook::State {
  ProfilingOptions options;
  Impl impl;
  ThreadPool& pool;
  std::optional<CallShape> shape;  // that layout is for
  std::optional<CallLayout> layout;
  std::unique_ptr<DeviceLayout> device_layout;  // of layout, once a call lies on the device
  std::vector<SiteStatistics> recorded;
  GateMemory gate_memory;
  double seconds = 0.0;

  const CallLayout& layout_for(const CallShape& wanted) {
    if (!shape || !(*shape == wanted)) {
      device_layout.reset();
      layout.emplace(make_call_layout(wanted, options.tile, options.partitions,
                                      options.rows_per_tile, options.seed));
      shape = wanted;
    }
    return *layout;
  }

  const DeviceLayout& device_layout_for(const CallLayout& wanted) {
    if (!device_layout) device_layout = std::make_unique<DeviceLayout>(wanted);
    return *device_layout;
  }

  void attend_unrecorded(const AttentionCall& call) {
    const CallLayout& wanted = layout_for({call.grid, call.prefix, call.suffix});
    if (on_device(call)) return attend_on_device(call, device_layout_for(wanted), impl);
    DenseAttentionParams params = attention_params(call, wanted.cells, wanted.rows);
    params.sink = {.context = nullptr, .consume = drop_group};
    attention_kernels(impl).dense(params, pool);
  }

  SiteStatistics attend_recorded(const AttentionCall& call) {
    const CallLayout& wanted = layout_for({call.grid, call.prefix, call.suffix});
    SiteStatistics result{.site = call.site};
    if (options.keep_map && options.keep_map(call.site)) {
      result.map.resize(call.q.heads * wanted.num_tiles * wanted.num_tiles);
    }
    float* map = result.map.empty() ? nullptr : result.map.data();
    result.arrays = on_device(call)
                        ? record_on_device(call, wanted, device_layout_for(wanted), impl, map)
                        : record_on_host(call, wanted, map);
    return result;
  }

  // Masses on the device are reduced there.
  bool on_device(const AttentionCall& call) const {
    return is_cuda(impl) && call.q.space == MemorySpace::kDevice;
  }

  std::vector<StatArray> record_on_host(const AttentionCall& call, const CallLayout& wanted,
                                        float* map) {
    const RowStatsKernels& kernels = row_stats_kernels(impl);
    const KeyMeans means = compute_key_means(call.k, wanted, kernels, pool);
    GateSelection cuts;
    if (!wanted.partitions.empty()) {
      cuts = find_gate_cuts(call.q, wanted, means, kernels, pool, kGateBudgetBytes, &gate_memory);
    }
    const ReductionContext context{wanted, call.q, call.scale, means, cuts, kernels, map};
    std::vector<RowGroupReducer> reducers;
    reducers.reserve(pool.size());
    for (int worker = 0; worker < pool.size(); ++worker) reducers.emplace_back(context);
    DenseAttentionParams params = attention_params(call, wanted.cells, wanted.rows);
    params.sink = {.context = &reducers, .consume = consume_group};
    attention_kernels(impl).dense(params, pool);

    std::vector<HeadSums> heads(call.q.heads, HeadSums(wanted));
    for (RowGroupReducer& reducer : reducers) {
      reducer.finish();
      for (size_t h = 0; h < heads.size(); ++h) heads[h].merge(reducer.heads()[h]);
    }
    if (cuts.store) gate_memory.gates = cuts.store->take_memory();
    std::vector<StatArray> arrays = make_site_arrays(heads, wanted);
    if (auto cosines = window_cosine(call.q, wanted, kernels, pool)) {
      arrays.push_back(std::move(*cosines));
    }
    return arrays;
  }
};

ProfilingHook::ProfilingHook(ProfilingOptions options, Impl impl, ThreadPool& pool)
    : state_(std::make_unique<State>(
          State{.options = std::move(options), .impl = impl, .pool = pool})) {}

ProfilingHook::~ProfilingHook() = default;

MemorySpace ProfilingHook::space() const { return space_of(state_->impl); }

void ProfilingHook::attend(const AttentionCall& call) {
  const auto start = std::chrono::steady_clock::now();
  State& state = *state_;
  if (!state.options.record || state.options.record(call.site)) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, call.q.batch == 1,
                      "recorded attention: expected batch 1, found {}", call.q.batch);
    state.recorded.push_back(state.attend_recorded(call));
  } else {
    state.attend_unrecorded(call);
    if (is_cuda(state.impl)) cuda::synchronize();  // the time is that of the work
  }
  state.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<SiteStatistics> ProfilingHook::take() { return std::exchange(state_->recorded, {}); }

double ProfilingHook::attention_seconds() const { return state_->seconds; }

}  // namespace sparsescope
