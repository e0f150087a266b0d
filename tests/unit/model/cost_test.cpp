// Published sizes of Wan checkpoints, to the digits of the table that they were published with.
#include "model/cost.h"

#include "model/video_transformer.h"
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
constexpr TransformerShape kSmall{
    .layers = 1, .heads = 1, .head_dim = 2, .ffn_dim = 3, .text_rows = 1};

TEST(Cost, CountedByHand) {
  const ForwardCost cost = forward_cost(kSmall, {1, 1, 2});
  EXPECT_EQ(cost.attention_flops, 32);  // Q K^T: 2 x 2 dots of 2; P V the same: 2 * (4 * 2 * 2)
  EXPECT_EQ(cost.self_projection_flops, 64);  // 4 linears of 2 x 2 on 2 rows
  // q and out: 32; k and v of 1 row: 16; 2 x 1 dots of 2, and P V: 16.
  EXPECT_EQ(cost.cross_attention_flops, 32 + 16 + 16);
  EXPECT_EQ(cost.feed_forward_flops, 48);  // up and down: 2 * (2 * 2 * 3 * 2)
  EXPECT_EQ(cost.rest_flops, 64 + 64 + 48);
  EXPECT_EQ(cost.total_flops(), 208);
  EXPECT_DOUBLE_EQ(cost.speedup_limit(), 208.0 / 176.0);
  EXPECT_EQ(cost.qkv_bytes, 3 * 2 * 2 * 2);
  EXPECT_EQ(cost.weight_bytes, 2 * (8 * 4 + 2 * 6));  // 8 linears of 2 x 2; 2 x 3 and 3 x 2
  EXPECT_EQ(cost.embedding_flops, 0);
}

TEST(Cost, AnImageBranchAddsToCrossAttentionAlone) {
  TransformerShape shape = kSmall;
  shape.image_rows = 3;
  const ForwardCost with = forward_cost(shape, {1, 1, 2});
  const ForwardCost without = forward_cost(kSmall, {1, 1, 2});
  // k and v of 3 rows: 2 * (2 * 3 * 4); 2 x 3 dots of 2, and P V: 2 * (2 * 12).
  EXPECT_EQ(with.cross_attention_flops - without.cross_attention_flops, 48 + 48);
  EXPECT_EQ(with.rest_flops - without.rest_flops, 96);
  EXPECT_EQ(with.weight_bytes - without.weight_bytes, 2 * 2 * 4);
}

TEST(Cost, EmbeddingsStandApart) {
  TransformerShape shape = kWan1B;
  shape.patch_inputs = shape.patch_outputs = 64;  // 16 channels, patches of 1 x 2 x 2
  shape.text_dim = 4096;
  const ForwardCost cost = forward_cost(shape, {21, 30, 52});
  EXPECT_EQ(cost.embedding_flops,
            2.0 * 32760 * 1536 * 128 + 2.0 * 512 * 1536 * 4096 + 2.0 * 512 * 1536 * 1536);
  EXPECT_LT(cost.embedding_flops, 1e-4 * cost.total_flops());
  EXPECT_EQ(cost.total_flops(), forward_cost(kWan1B, {21, 30, 52}).total_flops());
}

TEST(Cost, ShapeOfACheckpoint) {
  const ModelInfo info{.layers = 2,
                       .heads = 3,
                       .head_dim = 64,
                       .in_channels = 36,
                       .out_channels = 16,
                       .text_dim = 64,
                       .ffn_dim = 768,
                       .image_rows = 257,
                       .has_gate_compress = true};
  const TransformerShape shape = transformer_shape(info, 16);
  EXPECT_EQ(shape.width(), 192);
  EXPECT_EQ(shape.layers, 2);
  EXPECT_EQ(shape.ffn_dim, 768);
  EXPECT_EQ(shape.text_rows, 16);
  EXPECT_EQ(shape.image_rows, 257);
  EXPECT_EQ(shape.patch_inputs, 36 * 4);
  EXPECT_EQ(shape.patch_outputs, 16 * 4);
  EXPECT_EQ(shape.text_dim, 64);
  EXPECT_TRUE(shape.vsa_gate);
}

TEST(Cost, RefusesGridsOfNoOrTooManyTokens) {
  testing::error_of(ErrorKind::kUsage, [] { forward_cost(kWan1B, {0, 1, 1}); });
  constexpr int64_t kHuge = int64_t{1} << 62;
  testing::error_of(ErrorKind::kUsage, [] { forward_cost(kWan1B, {kHuge, kHuge, kHuge}); });
  EXPECT_GT(forward_cost(kWan1B, {2147483647, 1, 1}).attention_map_bytes, 0);
}

}  // namespace
}  // namespace sparsescope
