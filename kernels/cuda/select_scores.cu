#include "arch/launch.h"
#include "kernels/cuda/select_gate_products.h"
#include "kernels/cuda/select_scores.h"
#include "kernels/cuda/select_source.cuh"

namespace sparsescope::cuda {
namespace {

// A thread block makes 128 rows x 16 kColumns columns, a thread 8 x kColumns of them.
constexpr int kThreads = 256;
constexpr int kRows = 128, kDepth = 16, kThreadRows = 8;
constexpr int kRowPitch = kRows + 4;  // keeps 16-byte alignment

template <int kColumns>
struct Slabs {
  static constexpr int kTileColumns = 16 * kColumns;
  float a[kDepth][kRowPitch];
  float b[kDepth][kTileColumns + 4];
};

struct ScoreShape {
  SelectPlanes planes;
  const int32_t* order;  // null: rows are means
  int32_t first_row, num_rows;
  const float* means;
  int32_t num_tiles, dim;
  float scale;
  int64_t stride;
};

// Both aligned to the size of the columns.
template <int kColumns>
__device__ inline void copy_columns(float* to, const float* from) {
  struct alignas(kColumns * sizeof(float)) Columns {
    float values[kColumns];
  };
  *reinterpret_cast<Columns*>(to) = *reinterpret_cast<const Columns*>(from);
}

// A thread's part of the next slab: half a row of a, kColumns elements of b.
template <int kColumns, int kWidth, typename Source>
class SlabReader {
 public:
  __device__ SlabReader(const SourceRows<Source>& x, const ScoreShape& shape, int thread)
      : row_(thread / 2), depth_(thread % 2 * kHalf), head_dim_(x.head_dim) {
    const int64_t row = int64_t{blockIdx.y} * kRows + row_;
    if (row < shape.num_rows) {
      const int64_t plane = blockIdx.z;
      from_a_ = shape.order == nullptr ? x.data + (plane * shape.num_rows + row) * x.stride_token
                                       : x.head(shape.planes.heads[plane]) +
                                             shape.order[shape.first_row + row] * x.stride_token;
    }
    const int column = thread * kColumns / kDepth;
    column_ = column;
    depth_b_ = thread * kColumns % kDepth;
    const int64_t tile = int64_t{blockIdx.x} * Slabs<kColumns>::kTileColumns + column;
    if (tile < shape.num_tiles) {
      from_b_ = shape.means + (int64_t{blockIdx.z} * shape.num_tiles + tile) * shape.dim + depth_b_;
    }
  }

  __device__ void load(int32_t d) {
#pragma unroll
    for (int i = 0; i < kHalf; i += kWidth) {
      float values[kWidth] = {};
      if (from_a_ != nullptr && d + depth_ + i < head_dim_) {
        load_widened(from_a_ + d + depth_ + i, values);
      }
#pragma unroll
      for (int j = 0; j < kWidth; ++j) a_[i + j] = values[j];
    }
    alignas(16) float values[kColumns] = {};
    if (from_b_ != nullptr) copy_columns<kColumns>(values, from_b_ + d);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) b_[i] = values[i];
  }
  __device__ void store(Slabs<kColumns>& slabs) const {
#pragma unroll
    for (int i = 0; i < kHalf; ++i) slabs.a[depth_ + i][row_] = a_[i];
#pragma unroll
    for (int i = 0; i < kColumns; ++i) slabs.b[depth_b_ + i][column_] = b_[i];
  }

 private:
  static constexpr int kHalf = kDepth / 2;
  int row_, depth_, column_, depth_b_;
  int32_t head_dim_;
  const Source* from_a_ = nullptr;
  const float* from_b_ = nullptr;
  float a_[kHalf], b_[kColumns];
};

template <int kColumns, int kWidth, typename Source>
__global__ void __launch_bounds__(kThreads, 2)
    scores_kernel(const SourceRows<Source> x, const ScoreShape shape, float* out) {
  __shared__ Slabs<kColumns> slabs;
  const int thread = static_cast<int>(threadIdx.x);
  const int row = thread / 16 * kThreadRows, column = thread % 16 * kColumns;
  SlabReader<kColumns, kWidth, Source> reader(x, shape, thread);
  float sums[kThreadRows][kColumns] = {};
  reader.load(0);
  for (int32_t d = 0; d < shape.dim; d += kDepth) {
    __syncthreads();
    reader.store(slabs);
    __syncthreads();
    if (d + kDepth < shape.dim) reader.load(d + kDepth);
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      float a[kThreadRows], b[kColumns];
#pragma unroll
      for (int r = 0; r < kThreadRows; ++r) a[r] = slabs.a[i][row + r];
#pragma unroll
      for (int c = 0; c < kColumns; ++c) b[c] = slabs.b[i][column + c];
#pragma unroll
      for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
        for (int c = 0; c < kColumns; ++c) sums[r][c] = fmaf(a[r], b[c], sums[r][c]);
      }
    }
  }
  const int64_t first_column = int64_t{blockIdx.x} * Slabs<kColumns>::kTileColumns + column;
  if (first_column >= shape.stride) return;
#pragma unroll
  for (int r = 0; r < kThreadRows; ++r) {
    const int64_t m = int64_t{blockIdx.y} * kRows + row + r;
    if (m >= shape.num_rows) break;
    alignas(16) float scores[kColumns];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) scores[c] = sums[r][c] * shape.scale;
    copy_columns<kColumns>(
        out + (int64_t{blockIdx.z} * shape.num_rows + m) * shape.stride + first_column, scores);
  }
}

template <int kColumns, int kWidth, typename Source>
void run(const SourceRows<Source>& rows, const ScoreShape& shape, float* out) {
  const auto blocks = [](int64_t count, int64_t size) {
    return static_cast<unsigned>((count + size - 1) / size);
  };
  launch(scores_kernel<kColumns, kWidth, Source>,
         {.grid = dim3(blocks(shape.num_tiles, Slabs<kColumns>::kTileColumns),
                       blocks(shape.num_rows, kRows), shape.planes.num_planes),
          .block = dim3(kThreads)},
         nullptr, rows, shape, out);
}

// Wide tiles are fastest; narrower ones where they save a quarter of the columns.
template <int kWidth, typename Source>
void run_in_width(const SourceRows<Source>& rows, const ScoreShape& shape, float* out) {
  const auto padded = [&](int64_t width) { return (shape.num_tiles + width - 1) / width * width; };
  if (4 * padded(32) > 3 * padded(64)) return run<4, kWidth>(rows, shape, out);
  if (4 * padded(16) > 3 * padded(32)) return run<2, kWidth>(rows, shape, out);
  run<1, kWidth>(rows, shape, out);
}

}  // namespace

void tile_scores(const TileScores& call) {
  const ScoreShape shape{.planes = call.planes,
                         .order = call.row_means == nullptr ? call.order : nullptr,
                         .first_row = call.first_row,
                         .num_rows = call.num_rows,
                         .means = call.means,
                         .num_tiles = call.num_tiles,
                         .dim = padded_dim(call.head_dim),
                         .scale = call.scale,
                         .stride = score_stride(call.num_tiles)};
  if (call.row_means != nullptr) {
    const SourceRows<float> rows{
        .data = call.row_means, .head_dim = shape.dim, .stride_token = shape.dim};
    return run_in_width<4>(rows, shape, call.out);
  }
  if (gates_by_mma(call.x)) return tile_gates(call);
  with_source_rows(call.x, [&]<int kWidth, typename Source>(const SourceRows<Source>& rows) {
    run_in_width<kWidth>(rows, shape, call.out);
  });
}

}  // namespace sparsescope::cuda
