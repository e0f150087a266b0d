#include "model/cost_attention.h"

namespace sparsescope {
namespace {

constexpr double kElement = kCostElementBytes;
constexpr double kFloatBytes = 4;
constexpr double kIndexBytes = 4;
constexpr double kQueryGroup = 64;  // rows that a dense kernel holds while keys stream by

// Fine attention of `pairs` query-key pairs, with groups of that many query rows.
void add_pairs(AttentionCost& cost, double pairs, double head_dim, double group) {
  cost.attention = 4 * pairs * head_dim;
  cost.key_bytes = pairs / group * 2 * head_dim * kElement;
}

}  // namespace

AttentionCost& operator+=(AttentionCost& sum, const AttentionCost& cost) {
  sum.attention += cost.attention;
  sum.pooling += cost.pooling;
  sum.similarity += cost.similarity;
  sum.scores += cost.scores;
  sum.ranking += cost.ranking;
  sum.output += cost.output;
  sum.row_bytes += cost.row_bytes;
  sum.key_bytes += cost.key_bytes;
  sum.list_bytes += cost.list_bytes;
  sum.selection_bytes += cost.selection_bytes;
  return sum;
}

AttentionCost operator*(double count, const AttentionCost& cost) {
  return {.attention = count * cost.attention,
          .pooling = count * cost.pooling,
          .similarity = count * cost.similarity,
          .scores = count * cost.scores,
          .ranking = count * cost.ranking,
          .output = count * cost.output,
          .row_bytes = count * cost.row_bytes,
          .key_bytes = count * cost.key_bytes,
          .list_bytes = count * cost.list_bytes,
          .selection_bytes = count * cost.selection_bytes};
}

AttentionCost dense_attention_cost(const HeadShape& head) {
  const auto [S, D] = head;
  AttentionCost cost;
  add_pairs(cost, S * S, D, kQueryGroup);
  cost.row_bytes = 2 * S * D * kElement;
  return cost;
}

AttentionCost vsa_attention_cost(const HeadShape& head, double density, double tiles,
                                 double gate_width) {
  const auto [S, D] = head;
  const double N = tiles;
  AttentionCost cost;
  add_pairs(cost, S * S * density, D, S / N);
  cost.pooling = 2 * S * D;
  cost.scores = 2 * N * N * D;
  cost.ranking = N * N;
  cost.row_bytes = 2 * S * D * kElement;
  cost.list_bytes = 2 * kIndexBytes * N * (N * density + 1);
  cost.selection_bytes = 2 * S * D * kElement + 2 * kFloatBytes * N * N;
  if (gate_width > 0) {
    cost.output = S * D + 2 * N * N * D + 2 * S * D + 2 * S * gate_width * D;
    cost.selection_bytes += 3 * S * D * kElement;  // v; gate, written and read
  }
  return cost;
}

AttentionCost bsa_attention_cost(const HeadShape& head, double density, double tiles,
                                 double query_keep) {
  const auto [S, D] = head;
  const double N = tiles;
  const double tile_rows = S / N;
  AttentionCost cost;
  add_pairs(cost, S * S * density, D, query_keep * tile_rows);
  cost.pooling = (1 + query_keep) * S * D;
  cost.similarity = 2 * S * D;
  cost.scores = 2 * N * N * D;
  cost.ranking = S + 4 * N * N;
  cost.output = 2 * query_keep * (1 - query_keep) * S * tile_rows * D;
  cost.row_bytes = (1 + query_keep) * S * D * kElement;
  cost.list_bytes = 2 * kIndexBytes * (N * (N * density / query_keep + 1) + query_keep * S);
  cost.selection_bytes = 3 * S * D * kElement + 2 * kFloatBytes * N * N;
  return cost;
}

AttentionCost vmoba_attention_cost(const HeadShape& head, double density, double blocks) {
  const auto [S, D] = head;
  const double selected = S * blocks * density;  // (query, block) pairs
  AttentionCost cost;
  add_pairs(cost, S * S * density, D, kQueryGroup);
  cost.pooling = S * D;
  cost.scores = 2 * S * blocks * D;
  cost.ranking = S * blocks;
  cost.output = 2 * selected * D;
  cost.row_bytes = selected * D * (2 * kElement + kFloatBytes);
  cost.list_bytes = 2 * kIndexBytes * selected;
  cost.selection_bytes = 2 * S * D * kElement + 2 * kFloatBytes * S * blocks;
  return cost;
}

}  // namespace sparsescope
