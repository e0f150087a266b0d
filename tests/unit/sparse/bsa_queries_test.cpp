#include "sparse/bsa_queries.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"
#include "sparse/bsa_sources.h"
#include "sparse/token_rows.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using Slots = std::vector<int32_t>;

Box box_of(int32_t t, int32_t h, int32_t w) { return {.t = t, .h = h, .w = w}; }

Slots keep_queries(const std::vector<float>& similarity, const QueryWindows& windows,
                   const BsaQueryOptions& options) {
  KeepScratch scratch;
  Slots kept;
  keep_queries(similarity, windows, options, scratch, kept);
  return kept;
}

Slots sources_of(const std::vector<float>& unit_rows, const Slots& kept, const Slots& reference,
                 BsaRestore rule) {
  SourceScratch scratch;
  Slots sources(reference.size());
  find_sources(Impl::kReference, unit_rows, kept, reference, rule, scratch, sources);
  return sources;
}

// rows [n, head_dim]
std::vector<float> unit_rows_of(const std::vector<float>& rows, int64_t head_dim) {
  Slots tokens(rows.size() / head_dim);
  std::iota(tokens.begin(), tokens.end(), 0);
  std::vector<float> unit_rows(rows.size());
  const AttentionTensor x =
      contiguous_attention_tensor(rows.data(), Dtype::kF32, 1, 1, std::ssize(tokens), head_dim);
  token_row_kernels(Impl::kReference).normalize(token_rows(x, 0, 0, tokens), unit_rows.data());
  return unit_rows;
}

TEST(BsaQueries, CentreIsHalfOfEachClippedExtent) {
  const auto centre = [](int32_t t, int32_t h, int32_t w) {
    return centre_slot(box_of(t, h, w), {4, 4, 4}, {});
  };
  EXPECT_EQ(centre(4, 4, 4), 42);
  EXPECT_EQ(centre(3, 4, 4), 26);
  EXPECT_EQ(centre(4, 2, 4), 22);
  EXPECT_EQ(centre(2, 2, 4), 14);
  EXPECT_EQ(centre(1, 4, 4), 10);
  EXPECT_EQ(centre(1, 2, 4), 6);
  EXPECT_EQ(centre(1, 1, 2), 1);
  EXPECT_EQ(centre(1, 1, 1), 0);
}

TEST(BsaQueries, AGivenCentreHoldsForFullTilesOnly) {
  const BsaQueryOptions options{.centre = TileShape{2, 0, 0}};
  EXPECT_EQ(centre_slot(box_of(4, 4, 4), {4, 4, 4}, options), 32);
  EXPECT_EQ(centre_slot(box_of(3, 4, 4), {4, 4, 4}, options), 26);
  EXPECT_THROW(centre_slot(box_of(4, 4, 4), {4, 4, 4}, {.centre = TileShape{4, 0, 0}}), Error);
}

TEST(BsaQueries, WindowsOfAFullTile) {
  const std::vector<Slots> expected = {
      {0, 1, 4, 5, 16, 17, 20, 21},     {2, 3, 6, 7, 18, 19, 22, 23},
      {8, 9, 12, 13, 24, 25, 28, 29},   {10, 11, 14, 15, 26, 27, 30, 31},
      {32, 33, 36, 37, 48, 49, 52, 53}, {34, 35, 38, 39, 50, 51, 54, 55},
      {40, 41, 44, 45, 56, 57, 60, 61}, {42, 43, 46, 47, 58, 59, 62, 63}};
  const auto slots = [](const Box& box, const TileShape& window) {
    return query_windows(box, {4, 4, 4}, {.window = window}).slots;
  };
  EXPECT_EQ(slots(box_of(4, 4, 4), {2, 2, 2}), expected);
  EXPECT_EQ(slots(box_of(1, 2, 3), {2, 2, 2}), (std::vector<Slots>{{0, 1, 3, 4}, {2, 5}}));
  EXPECT_EQ(slots(box_of(1, 1, 3), {0, 0, 0}), (std::vector<Slots>{{0, 1, 2}}));
}

TEST(BsaQueries, ReferenceOfEverySlot) {
  const auto reference = [](const TileShape& window, BsaReference rule) {
    return query_windows(box_of(1, 2, 3), {4, 4, 4}, {.window = window, .reference = rule})
        .reference;
  };
  EXPECT_EQ(reference({2, 2, 2}, BsaReference::kCentre), (Slots{4, 4, 4, 4, 4, 4}));
  EXPECT_EQ(reference({2, 2, 2}, BsaReference::kWindowFirst), (Slots{0, 0, 2, 0, 0, 2}));
  EXPECT_EQ(reference({2, 2, 2}, BsaReference::kWindowLast), (Slots{4, 4, 5, 4, 4, 5}));
  EXPECT_EQ(reference({0, 0, 0}, BsaReference::kWindowFirst), (Slots{0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(reference({0, 0, 0}, BsaReference::kWindowLast), (Slots{5, 5, 5, 5, 5, 5}));
}

TEST(BsaQueries, QuotasOfClippedWindows) {
  const std::vector<std::pair<double, std::vector<int64_t>>> table = {{1.0, {8, 4, 2, 1}},
                                                                      {0.875, {7, 4, 2, 1}},
                                                                      {0.75, {6, 3, 2, 1}},
                                                                      {0.625, {5, 3, 2, 1}},
                                                                      {0.5, {4, 2, 1, 1}}};
  for (const auto& [keep, kept] : table) {
    std::vector<int64_t> found;
    for (const int64_t slots : {8, 4, 2, 1}) found.push_back(query_quota(slots, {.keep = keep}));
    EXPECT_EQ(found, kept) << keep;
  }
  EXPECT_EQ(query_quota(10, {.keep = 0.7}), 7);
  EXPECT_EQ(query_quota(64, {.keep = 0.3}), 20);
  EXPECT_EQ(query_quota(64, {.keep = 0.3, .round_down = true}), 19);
  EXPECT_EQ(query_quota(3, {.keep = 0.1, .round_down = true}), 1);
}

TEST(BsaQueries, KeepsTheLeastSimilarAndTheCentreWithinTheQuota) {
  // Two windows of four; the centre is slot 5, similar to itself.
  const QueryWindows windows{{{0, 1, 4, 5}, {2, 3, 6, 7}}, Slots(8, 5)};
  const std::vector<float> similarity = {0.9f, 0.1f, 0.5f, 0.5f, 0.2f, 1.0f, 0.5f, 0.4f};
  EXPECT_EQ(keep_queries(similarity, windows, {}), (Slots{1, 2, 5, 7}));
  EXPECT_EQ(keep_queries(similarity, windows, {.keep_reference = false}), (Slots{1, 2, 4, 7}));
  EXPECT_EQ(keep_queries(similarity, windows, {.keep = 1.0}), (Slots{0, 1, 2, 3, 4, 5, 6, 7}));
  // Each window keeps its first: 0 and 2.
  const QueryWindows first{windows.slots, {0, 0, 2, 2, 0, 0, 2, 2}};
  EXPECT_EQ(keep_queries(similarity, first, {}), (Slots{0, 1, 2, 7}));
}

TEST(BsaQueries, CopiesOfTheCentreArePrunedFirst) {
  std::vector<float> rows;
  for (int i = 0; i < 8; ++i) rows.insert(rows.end(), {i % 2 ? 0.3f : -0.2f * i, 0.7f, 0.1f});
  rows = unit_rows_of(rows, 3);
  std::vector<float> similarity(8);
  token_row_kernels(Impl::kReference).dots(rows.data(), 8, 3, &rows[21], similarity.data());
  const QueryWindows windows = query_windows(box_of(2, 2, 2), {2, 2, 2}, {.window = {0, 0, 0}});
  EXPECT_EQ(keep_queries(similarity, windows, {}), (Slots{2, 4, 6, 7}));
}

TEST(BsaQueries, RestoreRules) {
  const Slots kept = {1, 2, 5, 7};
  const Slots centre(8, 7);
  const std::vector<float> none;
  EXPECT_EQ(sources_of(none, kept, centre, BsaRestore::kNearest), (Slots{1, 1, 2, 2, 5, 5, 5, 7}));
  EXPECT_EQ(sources_of(none, kept, centre, BsaRestore::kCentre), (Slots{7, 1, 2, 7, 7, 5, 7, 7}));
  EXPECT_EQ(sources_of(none, kept, centre, BsaRestore::kZero), (Slots{-1, 1, 2, -1, -1, 5, -1, 7}));
  EXPECT_EQ(sources_of(none, kept, {1, 1, 1, 1, 5, 5, 5, 5}, BsaRestore::kCentre),
            (Slots{1, 1, 2, 1, 5, 5, 5, 7}));
  EXPECT_THROW(sources_of(none, kept, Slots(8, 3), BsaRestore::kCentre), Error);
  // Slots 0 and 1 are kept and equal: slot 2 takes the lower, slot 3 its opposite's mirror.
  const std::vector<float> rows = {1, 0, 1, 0, 0.8f, 0.6f, 0, -1, 0, 1};
  EXPECT_EQ(sources_of(rows, Slots{0, 1, 4}, Slots(5, 0), BsaRestore::kSimilar),
            (Slots{0, 1, 0, 0, 4}));
}

TEST(BsaQueries, ZeroRowsStayZero) {
  const std::vector<float> rows = unit_rows_of({0, 0, 3, 4}, 2);
  EXPECT_EQ(rows[0], 0.0f);
  EXPECT_EQ(rows[1], 0.0f);
  EXPECT_FLOAT_EQ(rows[2], 0.6f);
  EXPECT_FLOAT_EQ(rows[3], 0.8f);
}

}  // namespace
}  // namespace sparsescope
