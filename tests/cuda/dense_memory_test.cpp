// Where tensors and masses lie, and how much of them at a time: nothing of it changes a result.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cuda/device_fixture.h"
#include "kernels/attention_case.h"
#include "kernels/cuda/dense_attention.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/mass_chunk.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

using cuda::Body;
using cuda::DeviceBuffer;
using cuda::to_device;
using cuda::to_host;

class CudaDenseMemory : public CudaTest {};

const Shape kShape{.batch = 2, .heads = 2, .head_dim = 64, .grid = {5, 6, 9}, .suffix = 70};

// A call with everything on the device.
struct DeviceCall {
  explicit DeviceCall(const Problem& problem) : problem_(problem) {
    const Shape& shape = problem.shape();
    const int64_t rows = shape.batch * shape.heads * shape.tokens();
    q = copy(problem.q());
    k = copy(problem.k());
    v = copy(problem.v());
    out = DeviceBuffer<float>(rows * shape.head_dim, nullptr);
    lse = DeviceBuffer<float>(rows, nullptr);
    params.q = on_device(problem.q(), q);
    params.k = on_device(problem.k(), k);
    params.v = on_device(problem.v(), v);
    params.scale = problem.scale();
    params.out = contiguous_output(out.data(), shape.heads, shape.tokens(), shape.head_dim);
    params.out.space = MemorySpace::kDevice;
    params.lse = lse.data();
    params.cells = &problem.cells();
    params.rows = &problem.rows();
  }

  static AttentionTensor on_device(AttentionTensor tensor, DeviceBuffer<uint8_t>& bytes) {
    tensor.data = bytes.data();
    tensor.space = MemorySpace::kDevice;
    return tensor;
  }
  DeviceBuffer<uint8_t> copy(const AttentionTensor& tensor) const {
    const auto size = static_cast<size_t>(tensor.batch * tensor.heads * tensor.tokens *
                                          tensor.head_dim * dtype_bits(tensor.dtype) / 8);
    return to_device(std::span(static_cast<const uint8_t*>(tensor.data), size), nullptr);
  }

  const Problem& problem_;
  DeviceBuffer<uint8_t> q, k, v;
  DeviceBuffer<float> out, lse;
  DenseAttentionParams params;
};

// Copies chunks to the host, and puts masses together by the formula of mass_chunk.h in fp64.
struct ChunkRecorder {
  const Problem& problem;
  DenseResult result = {};
  int chunks = 0, most_heads = 0;
  std::vector<int> times_seen = {};  // [B * H, row blocks]

  explicit ChunkRecorder(const Problem& p) : problem(p) {
    const Shape& shape = p.shape();
    const int64_t heads = shape.batch * shape.heads, rows = heads * shape.grid.tokens();
    result.mass.assign(rows * p.cells().cells.size(), 0);
    result.entropy.assign(rows, kUntouched);
    result.row_lse.assign(rows, kUntouched);
    result.mass_t.assign(rows * shape.grid.t, kUntouched);
    result.mass_h.assign(rows * shape.grid.h, kUntouched);
    result.mass_w.assign(rows * shape.grid.w, kUntouched);
    times_seen.assign(heads * p.rows().blocks.size(), 0);
  }

  template <typename T>
  static std::vector<T> fetch(const T* device, int64_t count) {
    std::vector<T> values(count);
    to_host(device, std::span<T>(values), nullptr);
    return values;
  }

  void take(const cuda::MassChunk& c) {
    ++chunks;
    most_heads = std::max(most_heads, c.num_heads);
    const int64_t items = int64_t{c.num_heads} * c.num_row_blocks;
    const auto piece_sums = fetch(c.piece_sums, items * c.num_pieces * kRowLanes);
    const auto row_factor = fetch(c.row_factor, items * kRowLanes);
    const auto lse = fetch(c.lse, items * kRowLanes);
    const auto entropy = fetch(c.entropy, items * kRowLanes);
    const auto bins = fetch(c.bins, items * c.num_bins * kRowLanes);
    const auto piece_cell = fetch(c.piece_cell, c.num_pieces);
    const auto cells = static_cast<int64_t>(problem.cells().cells.size());
    const TokenGrid& grid = problem.shape().grid;
    ASSERT_EQ(c.num_bins, grid.t + grid.h + grid.w);
    for (int64_t item = 0; item < items; ++item) {
      const int64_t head = c.first_head + item / c.num_row_blocks;
      const int64_t block_idx = c.first_row_block + item % c.num_row_blocks;
      const RowBlock& block = problem.rows().blocks[block_idx];
      ++times_seen[head * static_cast<int64_t>(problem.rows().blocks.size()) + block_idx];
      const auto at = [&](const std::vector<float>& values, int64_t lines, int64_t line, int lane) {
        return values[(item * lines + line) * kRowLanes + lane];
      };
      for (int lane = 0; lane < kRowLanes; ++lane) {
        if (lane >= block.count) {
          for (int32_t p = 0; p < c.num_pieces; ++p) {
            ASSERT_EQ(at(piece_sums, c.num_pieces, p, lane), 0);
          }
          ASSERT_EQ(at(row_factor, 1, 0, lane), 0);
          ASSERT_EQ(at(lse, 1, 0, lane), 0);
          continue;
        }
        const int64_t row = head * grid.tokens() + problem.rows().order[block.first + lane] -
                            problem.shape().prefix;
        for (int32_t p = 0; p < c.num_pieces; ++p) {
          const double mass =
              double{at(piece_sums, c.num_pieces, p, lane)} * at(row_factor, 1, 0, lane);
          result.mass[row * cells + piece_cell[p]] += static_cast<float>(mass);
        }
        result.entropy[row] = at(entropy, 1, 0, lane);
        result.row_lse[row] = at(lse, 1, 0, lane);
        const auto copy_bins = [&](std::vector<float>& to, int64_t first, int64_t count) {
          for (int64_t i = 0; i < count; ++i) {
            to[row * count + i] = at(bins, c.num_bins, first + i, lane);
          }
        };
        copy_bins(result.mass_t, 0, grid.t);
        copy_bins(result.mass_h, grid.t, grid.h);
        copy_bins(result.mass_w, grid.t + grid.h, grid.w);
      }
    }
  }

  cuda::DeviceMassSink sink() {
    return {this, [](void* context, const cuda::MassChunk& chunk, void*) {
              static_cast<ChunkRecorder*>(context)->take(chunk);
            }};
  }
};

TEST_F(CudaDenseMemory, TheDeviceSinkSeesWhatTheHostSinkSees) {
  const Problem problem(kShape, Inputs::kOutliers, Dtype::kBF16);
  const DenseResult expected = run_dense(problem, Impl::kCudaSm80, true);
  DeviceCall call(problem);
  ChunkRecorder recorder(problem);
  cuda::dense_attention(call.params, Body::kSm80, recorder.sink());
  EXPECT_EQ(to_host(call.out, nullptr), expected.out);
  EXPECT_EQ(to_host(call.lse, nullptr), expected.lse);
  EXPECT_TRUE(near(recorder.result.mass, expected.mass, {.max_abs = 1e-6}));
  EXPECT_EQ(recorder.result.entropy, expected.entropy);
  EXPECT_EQ(recorder.result.row_lse, expected.row_lse);
  EXPECT_EQ(recorder.result.mass_t, expected.mass_t);
  EXPECT_EQ(recorder.result.mass_h, expected.mass_h);
  EXPECT_EQ(recorder.result.mass_w, expected.mass_w);
}

// Rows that a kernel cannot read where they lie: D of neither 64 nor 128, or not aligned.
TEST_F(CudaDenseMemory, DeviceTensorsOfAnyForm) {
  for (const int64_t head_dim : {20, 64}) {
    Shape shape = kShape;
    shape.head_dim = head_dim;
    const Problem problem(shape, Inputs::kOutliers, Dtype::kBF16);
    const DenseResult expected = run_dense(problem, Impl::kCudaSm80, false);
    DeviceCall call(problem);
    cuda::dense_attention(call.params, Body::kSm80);
    EXPECT_EQ(to_host(call.out, nullptr), expected.out);
    const AttentionTensor q = problem.q();
    const auto* bytes = static_cast<const uint8_t*>(q.data);
    std::vector<uint8_t> shifted(2, 0);
    shifted.insert(shifted.end(), bytes, bytes + q.batch * q.heads * q.tokens * q.head_dim * 2);
    call.q = to_device(shifted, nullptr);
    call.params.q.data = call.q.data() + 2;
    cuda::dense_attention(call.params, Body::kSm80);
    EXPECT_EQ(to_host(call.out, nullptr), expected.out);
  }
}

// From all in one chunk to one head and one row group at a time.
TEST_F(CudaDenseMemory, WavesAndChunksDoNotChangeAnything) {
  for (const TileShape& tile : {TileShape{4, 4, 4}, TileShape{5, 6, 5}}) {
    Shape shape = kShape;
    shape.tile = tile;
    const Problem problem(shape, Inputs::kOutliers, Dtype::kBF16);
    DeviceCall call(problem);
    ChunkRecorder whole(problem);
    cuda::attend_dense(call.params, Body::kSm80, {.device_sink = whole.sink()});
    EXPECT_EQ(whole.chunks, 1);
    EXPECT_EQ(whole.most_heads, 4);
    const std::vector<float> out = to_host(call.out, nullptr);
    int last_chunks = whole.chunks;
    for (const int64_t bytes : {600 << 10, 120 << 10, 1}) {
      SCOPED_TRACE(bytes);
      DeviceCall again(problem);
      ChunkRecorder parts(problem);
      cuda::attend_dense(again.params, Body::kSm80,
                         {.device_sink = parts.sink(), .memory_bytes = bytes});
      EXPECT_EQ(to_host(again.out, nullptr), out);
      EXPECT_EQ(parts.result.mass, whole.result.mass);
      EXPECT_EQ(parts.result.entropy, whole.result.entropy);
      EXPECT_EQ(parts.result.mass_w, whole.result.mass_w);
      EXPECT_GT(parts.chunks, 1);
      EXPECT_GE(parts.chunks, last_chunks);
      last_chunks = parts.chunks;
      for (size_t i = 0; i < parts.times_seen.size(); ++i) {
        const auto block = i % problem.rows().blocks.size();
        const bool video =
            static_cast<int64_t>(problem.rows().blocks[block].first) < shape.grid.tokens();
        ASSERT_EQ(parts.times_seen[i], video ? 1 : 0);
      }
    }
    EXPECT_EQ(last_chunks, 4 * problem.rows().num_video_groups);
  }
}

// Plans are kept from call to call: calls with other cells or tiles must not get them.
TEST_F(CudaDenseMemory, PlansOfOtherCells) {
  Shape tiles = kShape, partitions = kShape;
  tiles.tile = {2, 4, 4};
  partitions.partitions = {parse_partition("temporal:3")};
  for (const Shape& shape : {kShape, partitions, kShape, tiles, kShape}) {
    const Problem problem(shape, Inputs::kOutliers, Dtype::kBF16);
    const DenseResult result = run_dense(problem, Impl::kCudaSm80, true);
    const DenseResult expected = run_dense(problem, Impl::kReference, true);
    EXPECT_TRUE(near(result.mass, expected.mass, {.max_abs = 5e-6}));
    EXPECT_TRUE(near(result.mass_t, expected.mass_t, {.max_abs = 5e-6}));
  }
}

// Host tensors that come in waves.
TEST_F(CudaDenseMemory, HostTensorsInWaves) {
  for (const bool token_major : {false, true}) {
    const Problem problem(kShape, Inputs::kOutliers, Dtype::kF16, token_major);
    const DenseResult expected = run_dense(problem, Impl::kCudaSm80, false);
    std::vector<float> out(expected.out.size()), lse(expected.lse.size());
    DeviceCall call(problem);
    DenseAttentionParams params = call.params;
    params.q = problem.q();
    params.k = problem.k();
    params.v = problem.v();
    // [B, S, H, D]
    params.out = contiguous_output(out.data(), kShape.heads, kShape.tokens(), kShape.head_dim);
    params.out.stride_head = kShape.head_dim;
    params.out.stride_token = kShape.heads * kShape.head_dim;
    params.lse = lse.data();
    cuda::attend_dense(params, Body::kSm80, {.memory_bytes = 1});
    EXPECT_EQ(lse, expected.lse);
    const int64_t S = kShape.tokens(), H = kShape.heads, D = kShape.head_dim;
    for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
      const int64_t b = i / (H * S * D), h = i / (S * D) % H, s = i / D % S, d = i % D;
      ASSERT_EQ(out[((b * S + s) * H + h) * D + d], expected.out[i]);
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
