#include "capture/device_profile.h"

#include <optional>
#include <utility>

#include "capture/site_arrays.h"
#include "kernels/cuda/device_array.h"
#include "kernels/kernel_table.h"

namespace sparsescope {
namespace {

// lse: null, or [H, S] on the device.
DenseAttentionParams params_of(const AttentionCall& call, const DeviceLayout& layout, float* lse) {
  DenseAttentionParams params{.q = call.q, .k = call.k, .v = call.v};
  params.scale = call.scale;
  params.out = call.out;
  params.lse = lse;
  params.cells = &layout.cells();
  params.rows = &layout.rows();
  return params;
}

}  // namespace

void attend_on_device(const AttentionCall& call, const DeviceLayout& layout, Impl impl) {
  cuda::dense_attention(params_of(call, layout, nullptr), cuda_body(impl),
                        {.consume = [](void*, const cuda::MassChunk&, void*) {}});
}

std::vector<StatArray> record_on_device(const AttentionCall& call, const CallLayout& call_layout,
                                        const DeviceLayout& layout, Impl impl, float* map) {
  const bool with_gates = layout.gate_tables() != nullptr;
  cuda::DeviceArray<float> lse(with_gates ? call.q.heads * call.q.tokens : 0);
  cuda::MassReduction masses(layout.tables(), call.q, call.k, call.scale, map);
  cuda::dense_attention(params_of(call, layout, with_gates ? lse.data() : nullptr), cuda_body(impl),
                        {.context = &masses,
                         .consume = [](void* context, const cuda::MassChunk& chunk, void* stream) {
                           static_cast<cuda::MassReduction*>(context)->consume(chunk, stream);
                         }});
  std::optional<cuda::GateReduction> gates;
  if (with_gates) {
    gates.emplace(layout.gate_tables(), call.q, call.k);
    gates->reduce_rows(lse.data(), call.scale);
  }

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
