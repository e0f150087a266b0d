#include "arch/launch.h"
#include "kernels/cuda/select_restore.h"
#include "kernels/cuda/select_source.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 256, kGatherThreads = 128;

__device__ inline float* row_of(const MutableAttentionTensor& x, int32_t heads, int32_t head,
                                int64_t token) {
  return x.data + head / heads * x.stride_batch + head % heads * x.stride_head +
         token * x.stride_token;
}

// A thread kWidth channels of a row.
template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    restore_kernel(const RestoreMap map, const MutableAttentionTensor out, int32_t head_dim) {
  const int32_t chunks = head_dim / kWidth;
  const int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t raster = item / chunks;
  if (raster >= map.layout.video_tokens) return;
  const int64_t token = map.prefix + raster;
  const int64_t source = map.restore_from[int64_t{blockIdx.y} * map.layout.video_tokens + raster];
  if (source == token) return;
  const int32_t head = map.planes.heads[blockIdx.y];
  const auto first = static_cast<int32_t>(item % chunks) * kWidth;
  float* to = row_of(out, map.heads, head, token) + first;
  if constexpr (kWidth == 4) {
    *reinterpret_cast<float4*>(to) =
        source < 0 ? float4{0.0f, 0.0f, 0.0f, 0.0f}
                   : *reinterpret_cast<const float4*>(row_of(out, map.heads, head, source) + first);
  } else {
    *to = source < 0 ? 0.0f : row_of(out, map.heads, head, source)[first];
  }
}

// A thread block a tile; a thread sums channels of all its rows.
template <typename Source>
__global__ void __launch_bounds__(kGatherThreads)
    gather_tiles_kernel(const RestoreMap map, const SourceRows<Source> d_out,
                        const MutableAttentionTensor d_kept) {
  const KeyRange range = map.layout.ranges[blockIdx.x];
  const int32_t* tokens = map.layout.order + range.first;
  const int32_t head = map.planes.heads[blockIdx.y];
  const Source* from = d_out.head(head);
  const int32_t* sources =
      map.restore_from + int64_t{blockIdx.y} * map.layout.video_tokens - map.prefix;
  for (auto d = static_cast<int32_t>(threadIdx.x); d < d_out.head_dim; d += kGatherThreads) {
    const auto gradient = [&](int32_t token) {
      return to_float(from[token * d_out.stride_token + d]);
    };
    for (int32_t slot = 0; slot < range.count; ++slot) {
      const int32_t token = tokens[slot];
      row_of(d_kept, map.heads, head, token)[d] = sources[token] == token ? gradient(token) : 0.0f;
    }
    for (int32_t slot = 0; slot < range.count; ++slot) {
      const int32_t token = tokens[slot], source = sources[token];
      if (source == token || source < 0) continue;
      row_of(d_kept, map.heads, head, source)[d] += gradient(token);
    }
  }
}

template <typename Source>
__global__ void __launch_bounds__(kGatherThreads)
    copy_text_kernel(const RestoreMap map, const SourceRows<Source> d_out,
                     const MutableAttentionTensor d_kept) {
  const int32_t token = map.layout.order[map.layout.video_tokens + blockIdx.x];
  const int32_t head = map.planes.heads[blockIdx.y];
  for (auto d = static_cast<int32_t>(threadIdx.x); d < d_out.head_dim; d += kGatherThreads) {
    row_of(d_kept, map.heads, head, token)[d] =
        to_float(d_out.head(head)[token * d_out.stride_token + d]);
  }
}

__global__ void __launch_bounds__(kThreads)
    fill_lse_kernel(const SelectPlanes planes, int64_t tokens, float* lse) {
  const int64_t token = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (token < tokens) lse[planes.heads[blockIdx.y] * tokens + token] = NAN;
}

unsigned blocks(int64_t count, int64_t size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

}  // namespace

void restore_rows(const RestoreMap& map, const MutableAttentionTensor& out, int64_t head_dim) {
  constexpr int kWidth = 4;
  const auto in_vectors = [](int64_t elements) { return elements % kWidth == 0; };
  const bool aligned = reinterpret_cast<uintptr_t>(out.data) % sizeof(float4) == 0 &&
                       in_vectors(head_dim) && in_vectors(out.stride_batch) &&
                       in_vectors(out.stride_head) && in_vectors(out.stride_token);
  const auto run = [&](auto* kernel, int width) {
    launch(kernel,
           {.grid = dim3(blocks(map.layout.video_tokens * (head_dim / width), kThreads),
                         static_cast<unsigned>(map.planes.num_planes)),
            .block = dim3(kThreads)},
           nullptr, map, out, static_cast<int32_t>(head_dim));
  };
  if (aligned) return run(restore_kernel<kWidth>, kWidth);
  run(restore_kernel<1>, 1);
}

void gather_gradients(const RestoreMap& map, const AttentionTensor& d_out,
                      const MutableAttentionTensor& d_kept) {
  const auto planes = static_cast<unsigned>(map.planes.num_planes);
  with_source_rows(d_out, [&]<int kWidth, typename Source>(const SourceRows<Source>& rows) {
    launch(gather_tiles_kernel<Source>,
           {.grid = dim3(static_cast<unsigned>(map.layout.num_tiles), planes),
            .block = dim3(kGatherThreads)},
           nullptr, map, rows, d_kept);
    if (map.layout.text_tokens == 0) return;
    launch(copy_text_kernel<Source>,
           {.grid = dim3(static_cast<unsigned>(map.layout.text_tokens), planes),
            .block = dim3(kGatherThreads)},
           nullptr, map, rows, d_kept);
  });
}

void fill_lse(const SelectPlanes& planes, int64_t tokens, float* lse) {
  launch(fill_lse_kernel,
         {.grid = dim3(blocks(tokens, kThreads), static_cast<unsigned>(planes.num_planes)),
          .block = dim3(kThreads)},
         nullptr, planes, tokens, lse);
}

}  // namespace sparsescope::cuda
