// Published sizes of Wan checkpoints, to the digits of the table that they were published with.
#include "model/cost.h"

#include "support/expect_error.h"

namespace sparsescope {
namespace {

constexpr double kTera = 1e12;
constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kGiB = 1024.0 * kMiB;

constexpr TransformerShape kWan1B{.layers = 30, .heads = 12, .head_dim = 128, .ffn_dim = 8960};
constexpr TransformerShape kWan14B{.layers = 40, .heads = 40, .head_dim = 128, .ffn_dim = 13824};
constexpr TransformerShape kWan5B{.layers = 30, .heads = 24, .head_dim = 128, .ffn_dim = 14336};

struct Row {
  const char* name;
  TransformerShape shape;
  TokenGrid grid;
  int64_t tokens;
  double attention_tflop, rest_tflop, tflop_digit;  // the table's last digit
  double share_percent, map_gib, qkv_mib;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class CostTable : public ::testing::TestWithParam<Row> {};

TEST_P(CostTable, AgreesToThePrintedDigits) {
  const Row& row = GetParam();
  const ForwardCost cost = forward_cost(row.shape, row.grid);
  EXPECT_EQ(cost.tokens, row.tokens);
  EXPECT_NEAR(cost.attention_flops / kTera, row.attention_tflop, 0.5 * row.tflop_digit);
  EXPECT_NEAR(cost.rest_flops / kTera, row.rest_tflop, 0.5 * row.tflop_digit);
  EXPECT_NEAR(100 * cost.attention_share, row.share_percent, 0.5);
  EXPECT_NEAR(static_cast<double>(cost.attention_map_bytes) / kGiB, row.map_gib, 0.005);
  EXPECT_NEAR(static_cast<double>(cost.qkv_bytes) / kMiB, row.qkv_mib, 0.5);
}

INSTANTIATE_TEST_SUITE_P(
    Wan, CostTable,
    ::testing::Values(
        Row{"1.3B 81 frames", kWan1B, {21, 30, 52}, 32760, 197.8, 85.2, 0.1, 70, 2.00, 288},
        Row{"1.3B 33 frames", kWan1B, {9, 30, 52}, 14040, 36.3, 36.6, 0.1, 50, 0.37, 123},
        Row{"14B 480P", kWan14B, {21, 30, 52}, 32760, 879, 799, 1, 52, 2.00, 960},
        Row{"14B 720P", kWan14B, {21, 45, 80}, 75600, 4682, 1841, 1, 72, 10.65, 2215},
        Row{"5B 704P", kWan5B, {31, 22, 40}, 27280, 274, 243, 1, 53, 1.39, 480}));

// One layer, one head of two channels, two tokens, one text row, ffn 3: counted by hand.
TEST(Cost, CountedByHand) {
  const ForwardCost cost = forward_cost(
      {.layers = 1, .heads = 1, .head_dim = 2, .ffn_dim = 3, .text_rows = 1}, {1, 1, 2});
  // Q K^T: 2 x 2 dots of 2; P V the same: 2 * (4 * 2 * 2).
  EXPECT_EQ(cost.attention_flops, 32);
  // 4 linears of 2 x 2 on 2 rows: 64; q and out: 32; k and v of 1 row: 16; cross attention: 16;
  // up and down: 2 * (2 * 2 * 3 * 2) = 48.
  EXPECT_EQ(cost.rest_flops, 64 + 32 + 16 + 16 + 48);
  EXPECT_EQ(cost.qkv_bytes, 3 * 2 * 2 * 2);
}

// Published TFLOP of whole forward passes of the 1.3B model with 300 text rows: dense, and with
// sparse attention of a given density and number of blocks.
TEST(Cost, PublishedSparseTotals) {
  struct Published {
    TokenGrid grid;
    double blocks, density, tflop;  // blocks < 0: dense
  };
  constexpr TokenGrid k13K{21, 20, 32}, k33K{21, 30, 52}, k55K{24, 36, 64}, k56K{36, 30, 52},
      k76K{21, 45, 80};
  const Published table[] = {
      {k13K, -1, 1, 67.73},          {k33K, -1, 1, 281.64},    {k55K, -1, 1, 705.02},
      {k56K, -1, 1, 724.97},         {k76K, -1, 1, 1246.79},   {k33K, 0, 0.5, 182.73},
      {k55K, 0, 0.5, 423.22},        {k56K, 0, 0.5, 434.31},   {k76K, 0, 0.5, 720.06},
      {k33K, 64, 0.5, 182.92},       {k55K, 64, 0.5, 423.55},  {k56K, 64, 0.5, 434.64},
      {k76K, 64, 0.5, 720.50},       {k13K, 60, 0.25, 42.84},  {k33K, 72, 0.25, 133.50},
      {k55K, 72, 0.25, 282.69},      {k56K, 36, 0.25, 289.16}, {k76K, 72, 0.25, 457.20},
      {k56K, 67 / 3.0, 0.18, 248.39}};
  TransformerShape shape = kWan1B;
  shape.text_rows = 300;
  for (const Published& row : table) {
    const ForwardCost cost = forward_cost(shape, row.grid);
    const double attention = row.blocks < 0
                                 ? cost.attention_flops
                                 : sparse_attention_flops(shape, row.grid, row.density, row.blocks);
    EXPECT_NEAR((cost.rest_flops + attention) / kTera, row.tflop, 0.01)
        << row.blocks << " blocks, density " << row.density;
  }
}

TEST(Cost, RefusesGridsOfNoOrTooManyTokens) {
  testing::error_of(ErrorKind::kUsage, [] { forward_cost(kWan1B, {0, 1, 1}); });
  constexpr int64_t kHuge = int64_t{1} << 62;
  testing::error_of(ErrorKind::kUsage, [] { forward_cost(kWan1B, {kHuge, kHuge, kHuge}); });
  EXPECT_GT(forward_cost(kWan1B, {2147483647, 1, 1}).attention_map_bytes, 0);
}

}  // namespace
}  // namespace sparsescope
