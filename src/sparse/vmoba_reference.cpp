#include "sparse/vmoba_reference.h"

#include "capture/query_columns.h"

namespace sparsescope {
namespace {

// All samples as one call: blocks and queries of a sample behind those of the one before.
struct BatchGates {
  std::vector<float> gate;  // [H, B * N, B * S_video]
  std::vector<int32_t> self_block, token_sample, block_sample;
};

BatchGates batch_gates(const AttentionTensor& q, const AttentionTensor& k,
                       std::span<const int64_t> heads, const TokenLayout& layout) {
  const int64_t N = layout.num_tiles(), S = layout.video_tokens(), D = q.head_dim;
  const std::vector<int32_t> own_block = blocks_of_positions(layout);
  BatchGates gates;
  gates.gate.resize(static_cast<int64_t>(heads.size()) * q.batch * N * q.batch * S);
  std::vector<float> row(D);
  for (int64_t b = 0; b < q.batch; ++b) {
    for (const int32_t block : own_block) {
      gates.self_block.push_back(static_cast<int32_t>(b * N + block));
    }
    gates.token_sample.insert(gates.token_sample.end(), S, static_cast<int32_t>(b));
    gates.block_sample.insert(gates.block_sample.end(), N, static_cast<int32_t>(b));
    for (size_t h = 0; h < heads.size(); ++h) {
      std::vector<double> means(N * D);
      for (int64_t c = 0; c < N; ++c) {
        for (const int32_t token : layout.tokens_of(c)) {
          load_row(k, b, heads[h], token, row.data());
          for (int64_t d = 0; d < D; ++d) means[c * D + d] += row[d];
        }
        for (int64_t d = 0; d < D; ++d) means[c * D + d] /= layout.ranges[c].count;
      }
      for (int64_t s = 0; s < S; ++s) {
        load_row(q, b, heads[h], layout.order[s], row.data());
        for (int64_t c = 0; c < N; ++c) {
          double dot = 0;
          for (int64_t d = 0; d < D; ++d) dot += means[c * D + d] * row[d];
          const int64_t block = static_cast<int64_t>(h) * q.batch * N + b * N + c;
          gates.gate[block * q.batch * S + b * S + s] = static_cast<float>(dot);
        }
      }
    }
  }
  return gates;
}

}  // namespace

std::vector<RowSelection> reference_vmoba(const AttentionTensor& q, const AttentionTensor& k,
                                          std::span<const int64_t> heads, const TokenLayout& layout,
                                          const GateRule& rule) {
  const int64_t B = q.batch, N = layout.num_tiles(), S = layout.video_tokens();
  const auto H = static_cast<int64_t>(heads.size());
  const BatchGates gates = batch_gates(q, k, heads, layout);
  const std::vector<uint8_t> mask = select_blocks({.gate = gates.gate.data(),
                                                   .heads = H,
                                                   .blocks = B * N,
                                                   .tokens = B * S,
                                                   .self_block = gates.self_block,
                                                   .block_sample = gates.block_sample,
                                                   .token_sample = gates.token_sample},
                                                  rule);
  std::vector<RowSelection> selections;
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t h = 0; h < H; ++h) {
      RowSelection& selection = selections.emplace_back(N, S);
      for (int64_t c = 0; c < N; ++c) {
        const uint8_t* row = &mask[((h * B + b) * N + c) * B * S + b * S];
        for (int64_t s = 0; s < S; ++s) {
          if (row[s] != 0) selection.select(c, s);
        }
      }
    }
  }
  return selections;
}

}  // namespace sparsescope
