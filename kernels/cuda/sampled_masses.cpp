#include "kernels/cuda/sampled_masses.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <numbers>

#include "kernels/cuda/block_masses.h"
#include "kernels/cuda/gate_tables.h"
#include "kernels/cuda/head_wave.h"

namespace sparsescope::cuda {
namespace {

constexpr int32_t kRows = 64;  // of a thread block

template <typename Elem>
void run(const BlockMasses<Elem>& call, int32_t head_dim, cudaStream_t stream) {
  head_dim == 64 ? run_block_masses<Elem, 64>(call, stream)
                 : run_block_masses<Elem, 128>(call, stream);
}

struct ChunkSize {
  int32_t heads = 1, rows = kRows;
};

ChunkSize choose_chunk(const SampledCall& call, const GateTables& tables) {
  const int64_t bytes_of_row = int64_t{tables.num_blocks} * static_cast<int64_t>(sizeof(float));
  const int64_t all_rows = (tables.num_rows + kRows - 1) / kRows * kRows;
  const int64_t most = call.max_bytes / bytes_of_row;  // pairs of a head and a row
  ChunkSize size;
  size.heads = static_cast<int32_t>(std::clamp<int64_t>(most / all_rows, 1, call.max_heads));
  size.rows =
      static_cast<int32_t>(std::clamp<int64_t>(most / size.heads / kRows * kRows, kRows, all_rows));
  return size;
}

template <typename Elem>
void run_chunks(const SampledCall& call, const GateTables& tables, cudaStream_t stream,
                const std::function<void(const BlockMassChunk&)>& consume) {
  const ChunkSize size = choose_chunk(call, tables);
  const auto num_heads = static_cast<int32_t>(call.q.heads);
  WaveRows<Elem> q(call.q, tables.row_token.data(), tables.num_rows, size.heads, stream);
  WaveRows<Elem> k(call.k, tables.column_tokens.data(), tables.column_tokens.size(), size.heads,
                   stream);
  DeviceBuffer<float> masses(int64_t{size.heads} * tables.num_blocks * size.rows, stream);
  for (int32_t head = 0; head < num_heads; head += size.heads) {
    const HeadRange heads{head, std::min(size.heads, num_heads - head)};
    BlockMasses<Elem> kernel{.q = q.load(heads),
                             .k = k.load(heads),
                             .valid = tables.column_valid.data(),
                             .first_group = tables.first_group.data(),
                             .columns = tables.columns.data(),
                             .bits = tables.column_bits.data(),
                             .num_key_blocks = tables.num_key_blocks,
                             .row_token = tables.row_token.data(),
                             .lse = call.lse,
                             .tokens = call.q.tokens,
                             .scale_log2 = call.scale * std::numbers::log2e_v<float>,
                             .first_head = heads.first,
                             .num_heads = heads.count,
                             .masses = masses.data(),
                             .num_blocks = tables.num_blocks,
                             .row_stride = size.rows};
    for (int32_t row = 0; row < tables.num_rows; row += size.rows) {
      kernel.first_row = row;
      kernel.num_rows = std::min(size.rows, tables.num_rows - row);
      masses.fill_zero();
      run(kernel, kernel_head_dim(call.q.head_dim), stream);
      consume({.first_head = heads.first,
               .num_heads = heads.count,
               .first_row = row,
               .num_rows = kernel.num_rows,
               .row_stride = size.rows,
               .masses = masses.data()});
    }
  }
}

}  // namespace

void for_mass_chunks(const SampledCall& call, const GateTables& tables, cudaStream_t stream,
                     const std::function<void(const BlockMassChunk&)>& consume) {
  if (call.q.dtype == Dtype::kF16 && call.k.dtype == Dtype::kF16) {
    run_chunks<__half>(call, tables, stream, consume);
  } else {
    run_chunks<__nv_bfloat16>(call, tables, stream, consume);
  }
}

}  // namespace sparsescope::cuda
