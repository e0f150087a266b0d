// Last step of the statistics on the device: sums over rows or tiles, in a fixed order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sparsescope::cuda {

// Where the sums of a head begin: out + head * stride.
struct HeadSumsOut {
  double* out = nullptr;
  int64_t stride = 0;
};

// out[column] += sum over the rows of values [num_heads, rows, columns]
void sum_rows(const double* values, int32_t num_heads, int64_t rows, int32_t columns,
              const HeadSumsOut& out, cudaStream_t stream);
void sum_rows(const float* values, int32_t num_heads, int64_t rows, int32_t columns,
              const HeadSumsOut& out, cudaStream_t stream);

// out[j] += sum over i of n_i M[i, j]; map [num_heads, N, N], sizes [N]
void sum_key_mass(const float* map, int32_t num_heads, int32_t num_tiles, const float* sizes,
                  const HeadSumsOut& out, cudaStream_t stream);

struct TileAxes {
  int32_t t = 0, h = 0, w = 0;  // tiles along each axis
};
// out[distance of tiles] += sum over the pairs (i, j) at that distance of n_i M[i, j]. scratch
// [num_heads, kOffsetSlices, N].
inline constexpr int kOffsetSlices = 16;
void sum_offsets(const float* map, int32_t num_heads, const TileAxes& tiles, const float* sizes,
                 double* scratch, const HeadSumsOut& out, cudaStream_t stream);

}  // namespace sparsescope::cuda
