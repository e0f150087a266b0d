// The selection rule against published masks of a small call: N = 3 blocks, H = 2, S = 6, and
// gate[c][h][s] = ((23*e + 7) mod 37) - 18 with e = (c*H + h)*S + s.
#include "capture/vmoba_rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr int64_t kHeads = 2, kBlocks = 3, kTokens = 6;
const std::vector<int32_t> kSelf{0, 0, 1, 1, 2, 2};

std::vector<float> golden_gates() {
  std::vector<float> gates(kHeads * kBlocks * kTokens);
  for (int64_t c = 0; c < kBlocks; ++c) {
    for (int64_t h = 0; h < kHeads; ++h) {
      for (int64_t s = 0; s < kTokens; ++s) {
        const int64_t e = (c * kHeads + h) * kTokens + s;
        gates[(h * kBlocks + c) * kTokens + s] = static_cast<float>((23 * e + 7) % 37 - 18);
      }
    }
  }
  return gates;
}

GateView golden_view(const std::vector<float>& gates) {
  return {gates.data(), kHeads, kBlocks, kTokens, kSelf};
}

// "SS1010/10SS01/0101SS" of one head: S the own block, 1 another kept entry.
std::string drawn(const std::vector<uint8_t>& mask, int64_t head) {
  std::string text;
  for (int64_t c = 0; c < kBlocks; ++c) {
    if (c > 0) text += '/';
    for (int64_t s = 0; s < kTokens; ++s) {
      const bool kept = mask[(head * kBlocks + c) * kTokens + s] != 0;
      text += kSelf[s] == c ? (kept ? 'S' : '!') : (kept ? '1' : '0');
    }
  }
  return text;
}

struct GoldenRow {
  GateRule rule;
  const char* head0;
  const char* head1;
};

constexpr auto kTopK = GateSelect::kTopK;
constexpr auto kThreshold = GateSelect::kThreshold;
constexpr auto kQueryHead = GatePool::kQueryHead;
constexpr auto kHeadGlobal = GatePool::kHeadGlobal;
constexpr auto kBlock = GatePool::kBlock;
constexpr auto kOverall = GatePool::kOverall;

const char* const kAllHead = "SS1111/11SS11/1111SS";

const GoldenRow kGoldenRows[] = {
    {{kTopK, kQueryHead, 2}, "SS1010/10SS01/0101SS", "SS1100/00SS11/1100SS"},
    {{kTopK, kHeadGlobal, 2}, "SS1010/10SS01/0101SS", "SS0100/00SS11/1101SS"},
    {{kTopK, kOverall, 2}, "SS1010/10SS01/0101SS", "SS0100/00SS11/1101SS"},
    {{kTopK, kQueryHead, 3}, kAllHead, kAllHead},
    {{kTopK, kHeadGlobal, 3}, kAllHead, kAllHead},
    {{kTopK, kOverall, 9}, kAllHead, kAllHead},
    {{kThreshold, kQueryHead, 0, 0.25}, "SS1010/10SS01/0101SS", "SS1100/00SS11/1100SS"},
    {{kThreshold, kQueryHead, 0, 0.5}, "SS1010/10SS01/0101SS", "SS1100/00SS11/1100SS"},
    {{kThreshold, kQueryHead, 0, 0.75}, "SS1010/10SS01/0101SS", "SS1100/00SS11/1101SS"},
    {{kThreshold, kHeadGlobal, 0, 0.25}, "SS0000/00SS00/0001SS", "SS0000/00SS10/0000SS"},
    {{kThreshold, kHeadGlobal, 0, 0.5}, "SS0000/00SS01/0001SS", "SS0000/00SS10/0000SS"},
    {{kThreshold, kHeadGlobal, 0, 0.75}, "SS0010/00SS01/0101SS", "SS0100/00SS10/1001SS"},
    {{kThreshold, kBlock, 0, 0.25}, "SS0000/00SS00/0001SS", "SS0100/00SS10/0000SS"},
    {{kThreshold, kBlock, 0, 0.5}, "SS0000/00SS00/0001SS", "SS0100/00SS10/1000SS"},
    {{kThreshold, kBlock, 0, 0.75}, "SS0010/10SS01/0101SS", "SS0100/00SS10/1000SS"},
    {{kThreshold, kOverall, 0, 0.25}, "SS0000/00SS00/0001SS", "SS0000/00SS00/0000SS"},
    {{kThreshold, kOverall, 0, 0.5}, "SS0000/00SS00/0001SS", "SS0000/00SS10/1000SS"},
    {{kThreshold, kOverall, 0, 0.75}, "SS0010/00SS01/0101SS", "SS0100/00SS10/1001SS"},
    {{kThreshold, kQueryHead, 0, 1.0}, kAllHead, kAllHead},
    {{kThreshold, kHeadGlobal, 0, 1.0}, kAllHead, kAllHead},
    {{kThreshold, kBlock, 0, 1.0}, kAllHead, kAllHead},
    {{kThreshold, kOverall, 0, 1.0}, kAllHead, kAllHead},
};

TEST(VmobaRule, MatchesThePublishedMasks) {
  const std::vector<float> gates = golden_gates();
  for (const GoldenRow& row : kGoldenRows) {
    const auto mask = select_blocks(golden_view(gates), row.rule);
    const std::string where = "select " + std::to_string(static_cast<int>(row.rule.select)) +
                              " pool " + std::to_string(static_cast<int>(row.rule.pool)) + " k " +
                              std::to_string(row.rule.top_k) + " tau " +
                              std::to_string(row.rule.threshold);
    EXPECT_EQ(drawn(mask, 0), row.head0) << where;
    EXPECT_EQ(drawn(mask, 1), row.head1) << where;
  }
}

int64_t kept_entries(const std::vector<float>& gates, const GateRule& rule) {
  const auto mask = select_blocks(golden_view(gates), rule);
  return std::accumulate(mask.begin(), mask.end(), int64_t{0});
}

TEST(VmobaRule, ThresholdZeroKeepsOneEntryAPool) {
  const std::vector<float> gates = golden_gates();
  EXPECT_EQ(kept_entries(gates, {kThreshold, kQueryHead, 0, 0.0}), 24);
  EXPECT_EQ(kept_entries(gates, {kThreshold, kHeadGlobal, 0, 0.0}), 14);
  EXPECT_EQ(kept_entries(gates, {kThreshold, kBlock, 0, 0.0}), 15);
  EXPECT_EQ(kept_entries(gates, {kThreshold, kOverall, 0, 0.0}), 13);
}

TEST(VmobaRule, EqualGatesKeepEverything) {
  const std::vector<float> gates(kHeads * kBlocks * kTokens, 2.5f);
  for (const GatePool pool : {kQueryHead, kHeadGlobal, kBlock, kOverall}) {
    EXPECT_EQ(kept_entries(gates, {kThreshold, pool, 0, 0.5}), 36);
  }
}

TEST(VmobaRule, TiesFallByBlockThenHeadThenQuery) {
  // Head 1 alone offers gate 1 twice, at (c 1, s 0) and (c 0, s 5); one extra entry is kept.
  std::vector<float> gates(kHeads * kBlocks * kTokens, 0.0f);
  gates[(1 * kBlocks + 1) * kTokens + 0] = 1.0f;
  gates[(1 * kBlocks + 0) * kTokens + 5] = 1.0f;
  const auto mask = select_blocks(golden_view(gates), {kThreshold, kOverall, 0, 0.0});
  EXPECT_EQ(drawn(mask, 0), "SS0000/00SS00/0000SS");
  EXPECT_EQ(drawn(mask, 1), "SS0001/00SS00/0000SS");
}

TEST(VmobaRule, TopOneKeepsTheOwnBlockAlone) {
  EXPECT_EQ(kept_entries(golden_gates(), {kTopK, kQueryHead, 1}), 12);
}

// Two samples of 5 and 3 tokens in blocks of 2: gate[c][s] = ((23*(8c+s) + 7) mod 41) - 20.
struct TwoSamples {
  static constexpr int64_t kN = 5, kS = 8;
  std::vector<float> gates;
  std::vector<int32_t> self{0, 0, 1, 1, 2, 3, 3, 4};
  std::vector<int32_t> block_sample{0, 0, 0, 1, 1};
  std::vector<int32_t> token_sample{0, 0, 0, 0, 0, 1, 1, 1};

  TwoSamples() {
    for (int64_t i = 0; i < kN * kS; ++i) {
      gates.push_back(static_cast<float>((23 * i + 7) % 41 - 20));
    }
  }

  // "SS110...": dots stand between samples, and X where such an entry is kept.
  std::string drawn(GateRule rule, bool compat) const {
    rule.compat = compat;
    const auto mask =
        select_blocks({gates.data(), 1, kN, kS, self, block_sample, token_sample}, rule);
    std::string text;
    for (int64_t i = 0; i < kN * kS; ++i) {
      const int64_t c = i / kS, s = i % kS;
      if (i > 0 && s == 0) text += '/';
      if (block_sample[c] != token_sample[s]) {
        text += mask[i] != 0 ? 'X' : '.';
      } else {
        text += self[s] == c ? (mask[i] != 0 ? 'S' : '!') : (mask[i] != 0 ? '1' : '0');
      }
    }
    return text;
  }
};

TEST(VmobaRule, MatchesThePublishedMasksOfTwoSamples) {
  struct Row {
    GateRule rule;
    std::string compat, otherwise;
  };
  const std::string by_query = "SS110.../10SS1.../0100S.../.....SS1/.....11S";
  const std::string by_count = "SS010.../10SS1.../0101S.../.....SS1/.....11S";
  const std::string half = "SS010.../00SS1.../0000S.../.....SS0/.....10S";
  const std::string by_block = "SS010.../00SS1.../0001S.../.....SS1/.....10S";
  const std::vector<Row> rows = {{{kTopK, kQueryHead, 2}, by_query, by_query},
                                 {{kTopK, kHeadGlobal, 2}, by_count, by_count},
                                 {{kTopK, kOverall, 2}, by_count, by_count},
                                 {{kThreshold, kQueryHead, 0, 0.25}, by_query, by_query},
                                 {{kThreshold, kQueryHead, 0, 0.5}, by_query, by_query},
                                 {{kThreshold, kHeadGlobal, 0, 0.25},
                                  "SS000.../00SS0.../0000S.../.....SS0/.....10S",
                                  "SS000.../00SS1.../0000S.../.....SS0/.....10S"},
                                 {{kThreshold, kHeadGlobal, 0, 0.5}, half, half},
                                 {{kThreshold, kHeadGlobal, 0, 0.75},
                                  "SS010.../10SS1.../0101S.../.....SS0/.....10S",
                                  "SS010.../00SS1.../0101S.../.....SS1/.....10S"},
                                 {{kThreshold, kBlock, 0, 0.25}, by_block, by_block},
                                 {{kThreshold, kBlock, 0, 0.5}, by_block, by_block}};
  const TwoSamples samples;
  for (Row row : rows) {
    const std::string what = std::to_string(static_cast<int>(row.rule.pool)) + " tau " +
                             std::to_string(row.rule.threshold);
    EXPECT_EQ(samples.drawn(row.rule, true), row.compat) << what;
    EXPECT_EQ(samples.drawn(row.rule, false), row.otherwise) << what;
    if (row.rule.pool != kHeadGlobal) continue;
    row.rule.pool = kOverall;  // one head: the same
    EXPECT_EQ(samples.drawn(row.rule, true), row.compat) << what;
    EXPECT_EQ(samples.drawn(row.rule, false), row.otherwise) << what;
  }
}

TEST(VmobaRule, CompatForgetsSamplesAndClampsToTheBatch) {
  const TwoSamples samples;
  const std::string all = "SS111.../11SS1.../1111S.../.....SS1/.....11S";
  EXPECT_EQ(samples.drawn({kTopK, kHeadGlobal, 3}, false), all);
  // 3 * 8 entries, of which 21 lie within samples.
  EXPECT_EQ(samples.drawn({kTopK, kHeadGlobal, 3}, true),
            "SS111XXX/11SS1.../1111S.../.....SS1/.....11S");
  // k clamps to the 5 blocks of the batch: everything.
  EXPECT_EQ(samples.drawn({kTopK, kHeadGlobal, 9}, true),
            "SS111XXX/11SS1XXX/1111SXXX/XXXXXSS1/XXXXX11S");
  EXPECT_EQ(samples.drawn({kTopK, kOverall, 9}, true), all);
}

TEST(VmobaRule, CompatIsDenseWhereOnlyOwnBlocksAreSelected) {
  const TwoSamples samples;
  const std::string all = "SS111.../11SS1.../1111S.../.....SS1/.....11S";
  for (const GatePool pool : {kQueryHead, kHeadGlobal, kOverall}) {
    EXPECT_EQ(samples.drawn({kTopK, pool, 1}, true), all);
    EXPECT_EQ(samples.drawn({kTopK, pool, 1}, false),
              "SS000.../00SS0.../0000S.../.....SS0/.....00S");
  }
}

TEST(VmobaRule, CompatKeepsTwoEntriesWhereTauIsOutOfReach) {
  constexpr int64_t kN = 5, kS = 5;
  const std::vector<float> gates(kN * kS, 1.0f);
  const std::vector<int32_t> self{0, 1, 2, 3, 4};
  for (const auto& [pool, kept] : {std::pair{kQueryHead, kS * (1 + 2)},
                                   {kBlock, kS + kN * 2},
                                   {kHeadGlobal, kN * kS},
                                   {kOverall, kN * kS}}) {
    const auto mask =
        select_blocks({gates.data(), 1, kN, kS, self},
                      {.select = kThreshold, .pool = pool, .threshold = 0.5, .compat = true});
    EXPECT_EQ(std::accumulate(mask.begin(), mask.end(), int64_t{0}), kept);
  }
}

TEST(VmobaRule, RefusesWhatCannotBeMet) {
  const std::vector<float> gates = golden_gates();
  EXPECT_THROW(select_blocks(golden_view(gates), {kTopK, kBlock, 2}), Error);
  EXPECT_THROW(select_blocks(golden_view(gates), {kTopK, kQueryHead, 0}), Error);
}

}  // namespace
}  // namespace sparsescope
