#include "capture/device_profile.h"

#include <optional>
#include <utility>

#include "capture/site_arrays.h"
#include "kernels/kernel_table.h"

namespace sparsescope {
namespace {

// What consumes the chunks of a pass; either may be missing.
struct ChunkReducers {
  cuda::MassReduction* masses = nullptr;
  cuda::GateReduction* gates = nullptr;
};

void run_pass(const AttentionCall& call, const KeyCells& cells, const RowGroups& rows, Impl impl,
              ChunkReducers reducers) {
  DenseAttentionParams params{.q = call.q, .k = call.k, .v = call.v};
  params.scale = call.scale;
  params.out = call.out;
  params.cells = &cells;
  params.rows = &rows;
  cuda::dense_attention(params, cuda_body(impl),
                        {.context = &reducers,
                         .consume = [](void* context, const cuda::MassChunk& chunk, void* stream) {
                           const auto& to = *static_cast<const ChunkReducers*>(context);
                           if (to.masses != nullptr) to.masses->consume(chunk, stream);
                           if (to.gates != nullptr) to.gates->consume(chunk, stream);
                         }});
}

}  // namespace

void attend_on_device(const AttentionCall& call, const DeviceLayout& layout, Impl impl) {
  run_pass(call, layout.cells(), layout.rows(), impl, {});
}

std::vector<StatArray> record_on_device(const AttentionCall& call, const CallLayout& call_layout,
                                        const DeviceLayout& layout, Impl impl, float* map) {
  std::optional<cuda::GateReduction> gates;
  if (layout.gate_tables() != nullptr) gates.emplace(layout.gate_tables(), call.q, call.k);
  cuda::MassReduction masses(layout.tables(), call.q, call.k, call.scale, map);
  ChunkReducers reducers{.masses = &masses};
  if (layout.sampled_rows() != nullptr) {
    // The pass over all rows comes last: its output is what stays.
    run_pass(call, layout.sampled_cells(), *layout.sampled_rows(), impl, {.gates = &*gates});
  } else if (gates) {
    reducers.gates = &*gates;
  }
  run_pass(call, layout.cells(), layout.rows(), impl, reducers);

  const std::vector<cuda::ReducedHead> heads = masses.finish();
  const auto gates_of_heads =
      gates ? gates->finish() : std::vector<std::vector<cuda::ReducedGates>>(heads.size());
  std::vector<HeadSums> sums;
  for (size_t h = 0; h < heads.size(); ++h) {
    sums.push_back(layout.head_sums(heads[h], gates_of_heads[h]));
  }
  std::vector<StatArray> arrays = make_site_arrays(sums, call_layout);
  if (auto cosines = layout.window_cosine(heads)) arrays.push_back(std::move(*cosines));
  return arrays;
}

}  // namespace sparsescope
