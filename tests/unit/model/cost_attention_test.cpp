// Costs of one head, counted by hand: 8 tokens of 2 channels in 2 tiles of 4, half of the pairs.
#include "model/cost_attention.h"

#include <gtest/gtest.h>

namespace sparsescope {
namespace {

constexpr HeadShape kHead{.tokens = 8, .head_dim = 2};

TEST(CostAttention, Dense) {
  const AttentionCost cost = dense_attention_cost(kHead);
  EXPECT_EQ(cost.attention, 2 * (64 * 2 * 2));  // 64 dots of 2 multiply-adds; as many in P V
  EXPECT_EQ(cost.selection_flops(), 0);
  EXPECT_EQ(cost.row_bytes, 2 * 8 * 2 * 2);          // q and out
  EXPECT_EQ(cost.key_bytes, 64 / 64.0 * 2 * 2 * 2);  // an eighth of a group of 64 rows, 8 keys
  EXPECT_EQ(cost.list_bytes + cost.selection_bytes, 0);
}

TEST(CostAttention, Vsa) {
  const AttentionCost cost = vsa_attention_cost(kHead, 0.5, 2, 0);
  EXPECT_EQ(cost.attention, 256);
  EXPECT_EQ(cost.pooling, 2 * 16);      // every value of q and k is added once
  EXPECT_EQ(cost.scores, 2 * (4 * 2));  // 4 dots of 2
  EXPECT_EQ(cost.ranking, 4);
  EXPECT_EQ(cost.output, 0);
  EXPECT_EQ(cost.total_flops(), 256 + 32 + 16 + 4);
  EXPECT_EQ(cost.row_bytes, 64);
  EXPECT_EQ(cost.key_bytes, 2 * (4 * 2 * 2 * 2));   // each of 2 query tiles reads one tile of k, v
  EXPECT_EQ(cost.list_bytes, 2 * 4 * (2 + 2));      // one tile and a count for each; both ways
  EXPECT_EQ(cost.selection_bytes, 64 + 2 * 4 * 4);  // q, k; 4 scores written and read
}

TEST(CostAttention, VsaWithAGate) {
  const AttentionCost without = vsa_attention_cost(kHead, 0.5, 2, 0);
  const AttentionCost with = vsa_attention_cost(kHead, 0.5, 2, 6);  // C = 6: three heads
  // Means of v: 16; P V of 2 x 2 tiles: 16; times gate and added: 32; 8 x 2 dots of 6: 192.
  EXPECT_EQ(with.output, 16 + 16 + 32 + 192);
  EXPECT_EQ(with.total_flops() - without.total_flops(), with.output);
  EXPECT_EQ(with.total_bytes() - without.total_bytes(), 3 * 32);  // v; gate, written and read
}

TEST(CostAttention, Bsa) {
  // Half of the queries and all keys: half of the pairs.
  const AttentionCost cost = bsa_attention_cost(kHead, 0.5, 2, 0.5);
  EXPECT_EQ(cost.attention, 256);
  EXPECT_EQ(cost.similarity, 8 * 2 * 2);
  EXPECT_EQ(cost.pooling, 16 + 8);  // k; the kept half of q
  EXPECT_EQ(cost.scores, 16);
  EXPECT_EQ(cost.ranking, 8 + 4 * 4);
  EXPECT_EQ(cost.output, 2 * (2 * 2 * 2 * 2));      // 2 tiles, 2 pruned against 2 kept, dots of 2
  EXPECT_EQ(cost.row_bytes, 16 + 32);               // 4 kept queries in, 8 rows out
  EXPECT_EQ(cost.key_bytes, 2 * 64);                // each of 2 query tiles reads all of k, v
  EXPECT_EQ(cost.list_bytes, 2 * 4 * (4 + 2 + 4));  // 2 tiles each, counts; 4 kept queries
  EXPECT_EQ(cost.selection_bytes, 3 * 32 + 2 * 4 * 4);
}

TEST(CostAttention, BsaThatPrunesNothingRestoresNothing) {
  EXPECT_EQ(bsa_attention_cost(kHead, 0.5, 2, 1).output, 0);
}

TEST(CostAttention, Vmoba) {
  // 4 blocks of 2 tokens, 2 of them for every query.
  const AttentionCost cost = vmoba_attention_cost(kHead, 0.5, 4);
  EXPECT_EQ(cost.attention, 256);
  EXPECT_EQ(cost.pooling, 16);
  EXPECT_EQ(cost.scores, 2 * (8 * 4 * 2));
  EXPECT_EQ(cost.ranking, 32);
  EXPECT_EQ(cost.output, 16 * 2 * 2);               // 16 partial rows, scaled and added
  EXPECT_EQ(cost.row_bytes, 16 * 2 * (2 + 2 + 4));  // q gathered, rows out, rescaled in fp32
  EXPECT_EQ(cost.key_bytes, 32 / 64.0 * 8);
  EXPECT_EQ(cost.list_bytes, 2 * 4 * 16);
  EXPECT_EQ(cost.selection_bytes, 64 + 2 * 4 * 32);
}

TEST(CostAttention, AddsAndMultiplies) {
  const AttentionCost one = bsa_attention_cost(kHead, 0.5, 2, 0.5);
  AttentionCost sum = one;
  sum += 2.0 * one;
  EXPECT_EQ(sum.attention, 3 * one.attention);
  EXPECT_EQ(sum.total_flops(), 3 * one.total_flops());
  EXPECT_EQ(sum.total_bytes(), 3 * one.total_bytes());
}

}  // namespace
}  // namespace sparsescope
