#include <cmath>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/select_gate_products.h"
#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_source.cuh"
#include "kernels/cuda/warp_products.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kTerms = 3;     // of a mean
constexpr int kColumns = 64;  // blocks that a thread block takes
constexpr int kRows = 64;     // queries at a time
constexpr int kThreads = 128;
constexpr int kWarpRows = 32, kWarpColumns = 32;
constexpr int kBlockRows = 512;  // queries that the means in shared memory are multiplied with

template <typename Elem, int kHeadDim>
struct GateShared {
  Elem means[kTerms][kColumns * kHeadDim];
  Elem queries[2][kRows * kHeadDim];
};

static_assert(sizeof(GateShared<__nv_bfloat16, 128>) <= kSelectSharedBytes);

struct GateShape {
  const int32_t* order;
  const float* means;  // [planes, N, D]
  int32_t num_rows, num_tiles;
  float scale;
  int64_t stride;
  float* out;           // [planes, rows, stride]
  KeyExtents* extents;  // [planes]
};

// Of a thread's gates.
struct GateExtents {
  float least = INFINITY, largest = -INFINITY;
  bool any_nan = false;

  __device__ void add(float gate) {
    least = fminf(least, gate);
    largest = fmaxf(largest, gate);
    any_nan = any_nan || gate != gate;
  }
};

template <typename Elem, int kHeadDim>
class GateProducts {
 public:
  __device__ GateProducts(const SourceRows<Elem>& x, const SelectPlanes& planes,
                          const GateShape& shape)
      : shared_(*reinterpret_cast<GateShared<Elem, kHeadDim>*>(dynamic_shared())),
        shape_(shape),
        head_(x.head(planes.heads[blockIdx.z])),
        stride_token_(x.stride_token),
        out_(shape.out + int64_t{blockIdx.z} * shape.num_rows * shape.stride),
        thread_(static_cast<int>(threadIdx.x)),
        first_column_(static_cast<int32_t>(blockIdx.y) * kColumns),
        last_row_(min(shape.num_rows, static_cast<int32_t>(blockIdx.x + 1) * kBlockRows)) {}

  __device__ void run() {
    int32_t row = static_cast<int32_t>(blockIdx.x) * kBlockRows;
    copy_queries(row, 0);
    split_means();
    for (int buffer = 0; row < last_row_; row += kRows, buffer ^= 1) {
      __syncthreads();  // all are done with the other buffer
      copy_queries(row + kRows, buffer ^ 1);
      wait_for_copies<1>();
      __syncthreads();
      multiply(row, shared_.queries[buffer]);
    }
    wait_for_copies<0>();
    if (shape_.extents != nullptr) widen(shape_.extents[blockIdx.z]);
  }

 private:
  __device__ void copy_queries(int32_t first, int buffer) {
    constexpr int kPasses = kRows * kHeadDim / kChunk / kThreads, kRowsPerPass = kRows / kPasses;
    int32_t tokens[kPasses];  // loaded together, not one after each copy
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int32_t row = first + thread_ / (kHeadDim / kChunk) + pass * kRowsPerPass;
      tokens[pass] = row < last_row_ ? shape_.order[row] : -1;
    }
    copy_rows_async<kHeadDim, kRows, kThreads>(
        shared_.queries[buffer], thread_, [&](int, int pass) -> const Elem* {
          return tokens[pass] < 0 ? nullptr : head_ + tokens[pass] * stride_token_;
        });
    commit_copies();
  }

  __device__ void split_means() {
    const float* means =
        shape_.means + (int64_t{blockIdx.z} * shape_.num_tiles + first_column_) * kHeadDim;
    const int32_t present = min(kColumns, shape_.num_tiles - first_column_) * kHeadDim;
#pragma unroll 4
    for (int i = 2 * thread_; i < kColumns * kHeadDim; i += 2 * kThreads) {
      float2 rest = i < present ? *reinterpret_cast<const float2*>(means + i) : float2{0.0f, 0.0f};
      const int d = i % kHeadDim,
                at = chunk_offset<kHeadDim>(i / kHeadDim, d / kChunk) + d % kChunk;
#pragma unroll
      for (int term = 0; term < kTerms; ++term) {
        const Elem first = to_element<Elem>(rest.x), second = to_element<Elem>(rest.y);
        shared_.means[term][at] = first;
        shared_.means[term][at + 1] = second;
        rest = {rest.x - to_float(first), rest.y - to_float(second)};
      }
    }
  }

  __device__ void multiply(int32_t first_row, const Elem* queries) {
    constexpr int kHalves = kWarpRows / 16, kPairs = kWarpColumns / 16,
                  kAcross = kColumns / kWarpColumns;
    const int lane = computed_anew(thread_ % 32), warp = thread_ / 32;
    const int warp_row = warp / kAcross * kWarpRows, warp_column = warp % kAcross * kWarpColumns;
    const int32_t columns = shape_.num_tiles - first_column_ - warp_column;
    float sums[kHalves][2 * kPairs][4];
#pragma unroll
    for (int half = 0; half < kHalves; ++half) clear_fragment(sums[half]);
    const int a_at = chunk_offset<kHeadDim>(warp_row + lane % 8 + 8 * (lane / 8 % 2), lane / 16);
    const int b_at = chunk_offset<kHeadDim>(warp_column + lane % 8 + 8 * (lane / 16), lane / 8 % 2);
#pragma unroll 2
    for (int step = 0; step < kHeadDim / 16; ++step) {
      uint32_t left[kHalves][4];
#pragma unroll
      for (int half = 0; half < kHalves; ++half) {
        load_matrix_x4(left[half], queries + 16 * half * kHeadDim + step_chunks(a_at, 2 * step));
      }
#pragma unroll
      for (int pair = 0; pair < kPairs; ++pair) {
        if (16 * pair >= columns) break;
#pragma unroll
        for (int term = 0; term < kTerms; ++term) {
          uint32_t right[4];
          load_matrix_x4(right,
                         shared_.means[term] + 16 * pair * kHeadDim + step_chunks(b_at, 2 * step));
#pragma unroll
          for (int half = 0; half < kHalves; ++half) {
            multiply_16x8x16<Elem>(sums[half][2 * pair], left[half], right[0], right[1]);
            multiply_16x8x16<Elem>(sums[half][2 * pair + 1], left[half], right[2], right[3]);
          }
        }
      }
    }
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      write(sums[half], first_row + warp_row + 16 * half, first_column_ + warp_column, lane);
    }
  }

  __device__ void write(const float (&sums)[kWarpColumns / 8][4], int32_t first_row,
                        int32_t first_column, int lane) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int32_t row = first_row + lane / 4 + 8 * r;
      if (row >= last_row_) continue;
      float* to = out_ + row * shape_.stride;
#pragma unroll
      for (int octet = 0; octet < kWarpColumns / 8; ++octet) {
        const int32_t column = first_column + 8 * octet + 2 * (lane % 4);
        if (column >= shape_.stride) break;
        const float2 gates{shape_.scale * sums[octet][2 * r],
                           shape_.scale * sums[octet][2 * r + 1]};
        *reinterpret_cast<float2*>(to + column) = gates;
        if (column < shape_.num_tiles) range_.add(gates.x);
        if (column + 1 < shape_.num_tiles) range_.add(gates.y);
      }
    }
  }

  __device__ void widen(KeyExtents& extents) const {
    const uint32_t least = key_of(range_.any_nan ? -INFINITY : range_.least);
    const uint32_t inverted = warp_max(~least), largest = warp_max(key_of(range_.largest));
    if (thread_ % 32 != 0) return;
    atomicMax(&extents.inverted_least, inverted);
    atomicMax(&extents.largest, largest);
  }

  GateShared<Elem, kHeadDim>& shared_;
  const GateShape& shape_;
  const Elem* head_;
  int64_t stride_token_;
  float* out_;
  int thread_;
  int32_t first_column_, last_row_;
  GateExtents range_;
};

// grid: runs of queries, runs of blocks, planes
template <typename Elem, int kHeadDim>
__global__ void __launch_bounds__(kThreads, 2)
    gates_kernel(const __grid_constant__ SourceRows<Elem> x, const SelectPlanes planes,
                 const __grid_constant__ GateShape shape) {
  GateProducts<Elem, kHeadDim>(x, planes, shape).run();
}

unsigned blocks(int64_t count, int64_t size) {
  return static_cast<unsigned>((count + size - 1) / size);
}

}  // namespace

bool gates_by_mma(const AttentionTensor& q) {
  bool possible = false;
  with_source_rows(q, [&]<int kWidth, typename Source>(const SourceRows<Source>& rows) {
    possible = sizeof(Source) == 2 && kWidth > 1 && (rows.head_dim == 64 || rows.head_dim == 128);
  });
  return possible;
}

void tile_gates(const TileScores& call) {
  const GateShape shape{.order = call.order + call.first_row,
                        .means = call.means,
                        .num_rows = call.num_rows,
                        .num_tiles = call.num_tiles,
                        .scale = call.scale,
                        .stride = score_stride(call.num_tiles),
                        .out = call.out,
                        .extents = call.extents};
  const auto run = [&]<int kHeadDim, typename Elem>(const SourceRows<Elem>& rows) {
    launch(gates_kernel<Elem, kHeadDim>,
           {.grid = dim3(blocks(call.num_rows, kBlockRows), blocks(call.num_tiles, kColumns),
                         static_cast<unsigned>(call.planes.num_planes)),
            .block = dim3(kThreads),
            .shared_bytes = sizeof(GateShared<Elem, kHeadDim>)},
           nullptr, rows, call.planes, shape);
  };
  with_source_rows(call.x, [&]<int kWidth, typename Source>(const SourceRows<Source>& rows) {
    if constexpr (sizeof(Source) == 2 && kWidth > 1) {
      rows.head_dim == 64 ? run.template operator()<64>(rows) : run.template operator()<128>(rows);
    }
  });
}

}  // namespace sparsescope::cuda
