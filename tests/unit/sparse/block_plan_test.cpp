// Plans apart from the selectors: what is saved runs like what was selected, what is damaged is
// refused, summaries and pictures say what the lists say, and lists no selector would write run
// too.
#include "sparse/block_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint/safetensors.h"
#include "sparse/block_plan_file.h"
#include "sparse/block_plan_picture.h"
#include "support/expect_error.h"
#include "support/near.h"
#include "support/temp_dir.h"
#include "unit/sparse/naive_attend.h"

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

const std::vector<std::pair<std::string, OptionTexts>> kMethods = {
    {"vsa", {{"--block", "2,2,2"}, {"--top-k", "2"}}},
    {"bsa", {{"--block", "2,2,4"}, {"--min-blocks", "1"}}},
    {"vmoba", {{"--partition", "temporal:2"}, {"--top-k", "1"}}}};

AttendRun run_plan(const AttendProblem& problem, const BlockPlan& plan,
                   Impl impl = Impl::kReference) {
  ThreadPool pool(2);
  return as_run(attend_by_plan(problem.inputs(), plan, !problem.d_out.empty(), impl, pool));
}

TEST(BlockPlan, ASavedPlanRunsLikeTheSelection) {
  const AttendProblem problem = make_problem(2, 2, {3, 3, 5}, 2, 3, 8, true);
  const TempDir folder;
  for (const auto& [method, texts] : kMethods) {
    const AttendRun selected = run_attend(problem, method, texts, Impl::kReference);
    const auto path = folder / (method + ".safetensors");
    write_block_plan(path, *selected.plan, false);
    const BlockPlan loaded = read_block_plan(path);
    EXPECT_EQ(plan_to_text(loaded), plan_to_text(*selected.plan));
    const AttendRun again = run_plan(problem, loaded);
    for (const auto& [name, values] : again.floats) {
      EXPECT_EQ(values, selected.floats.at(name)) << method << " " << name;
    }
    for (const char* name : {"out", "dq", "dk", "dv"}) EXPECT_TRUE(again.floats.contains(name));
  }
}

TEST(BlockPlan, TheSummaryCountsTheMask) {
  const AttendProblem problem = make_problem(1, 2, {4, 4, 4}, 0, 0, 8, false);
  const AttendRun run =
      run_attend(problem, "vsa", {{"--block", "2,2,2"}, {"--top-k", "3"}}, Impl::kReference);
  const std::vector<HeadPlanSummary> heads = summarize_plan(*run.plan);
  ASSERT_EQ(heads.size(), 2u);
  for (const HeadPlanSummary& head : heads) {
    EXPECT_DOUBLE_EQ(head.density, 3.0 / 8);
    EXPECT_EQ(head.kept_rows, 64);
    EXPECT_EQ(head.shortest, 3);
    EXPECT_EQ(head.longest, 3);
    EXPECT_DOUBLE_EQ(head.mean, 3.0);
    const std::vector<double> density = block_densities(*run.plan, 0, head.head);
    for (size_t i = 0; i < density.size(); ++i) {
      EXPECT_EQ(density[i], run.masks.at("mask")[head.head * 64 + i]);
    }
  }
  const std::vector<HeadPlanSummary> pruned =
      summarize_plan(*run_attend(problem, "bsa", {{"--block", "4,4,4"}}, Impl::kReference).plan);
  EXPECT_EQ(pruned[0].kept_rows, 32);
  EXPECT_DOUBLE_EQ(pruned[0].density, 0.5);
}

TEST(BlockPlan, ThePictureHasAPanelAHead) {
  const AttendProblem problem = make_problem(1, 3, {4, 16, 16}, 1, 0, 8, false);
  const AttendRun run =
      run_attend(problem, "vsa", {{"--block", "2,2,2"}, {"--sparsity", "0.9"}}, Impl::kReference);
  const std::string svg = block_plan_svg(*run.plan);
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
  for (const char* caption : {"head 0: density 0.1", "head 1: density", "head 2: density"}) {
    EXPECT_THAT(svg, HasSubstr(caption));
  }
  EXPECT_THAT(svg, HasSubstr("text, always dense, is left out"));
  EXPECT_LT(svg.size(), 400000u);
}

struct Damage {
  std::string expected;  // in the message
  std::function<void(BlockPlan&)> apply;
};

TEST(BlockPlan, EveryDamageIsRefusedWithItsPlace) {
  const AttendProblem problem = make_problem(1, 2, {3, 3, 5}, 2, 0, 8, false);
  const std::vector<Damage> common = {
      {"key_order", [](BlockPlan& p) { std::swap(p.lists.key_order[0], p.lists.key_order[1]); }},
      {"key_order: expected", [](BlockPlan& p) { p.lists.key_order.pop_back(); }},
      {"key_order: expected", [](BlockPlan& p) { p.prefix = 3; }},
      {"ranges[0]", [](BlockPlan& p) { ++p.lists.ranges[0].count; }},
      {"ranges: expected", [](BlockPlan& p) { p.lists.ranges.pop_back(); }},
      {"rows[3]", [](BlockPlan& p) { p.lists.rows[3] = -1; }},
      {"rows[3]", [](BlockPlan& p) { p.lists.rows[3] = 47; }},
      {"rows[1]", [](BlockPlan& p) { p.lists.rows[1] = p.lists.rows[0]; }},
      {"range_ids[0]", [](BlockPlan& p) { p.lists.range_ids[0] = 99; }},
      {"range_ids[0]", [](BlockPlan& p) { p.lists.range_ids[0] = -1; }},
      {"items[0]", [](BlockPlan& p) { p.lists.items[0].first_row = 1 << 30; }},
      {"items[0]", [](BlockPlan& p) { p.lists.items[0].num_rows = 0; }},
      {"items[0]", [](BlockPlan& p) { p.lists.items[0].num_rows = 65; }},
      {"items[1]", [](BlockPlan& p) { p.lists.items[1].num_ranges = 1 << 30; }},
      {"items[1]", [](BlockPlan& p) { p.lists.items[1].first_range = -1; }},
      {"strands[0]", [](BlockPlan& p) { p.lists.strands[0].head = 2; }},
      {"strands[0]", [](BlockPlan& p) { p.lists.strands[0].batch = -1; }},
      {"strands[0]", [](BlockPlan& p) { p.lists.strands[0].first_item = 1 << 30; }},
      {"strands", [](BlockPlan& p) { p.lists.strands.push_back(p.lists.strands[0]); }},
      {"expected an item for token", [](BlockPlan& p) { p.lists.strands.pop_back(); }},
      {"strands: expected at least one", [](BlockPlan& p) { p.heads = 1 << 20; }}};
  for (const auto& [method, texts] : kMethods) {
    const BlockPlan plan = *run_attend(problem, method, texts, Impl::kReference).plan;
    check_block_plan(plan, "whole");
    std::vector<Damage> damages = common;
    if (method == "bsa") {
      damages.push_back({"restore_from[0]", [](BlockPlan& p) { p.lists.restore_from[0] = -2; }});
      damages.push_back({"restore_from", [](BlockPlan& p) { p.lists.restore_from.pop_back(); }});
      damages.push_back({"restore_from[", [](BlockPlan& p) {
                           for (int32_t& source : p.lists.restore_from) source = -1;
                         }});
    }
    if (method == "vmoba") {
      damages.push_back({"do not merge", [](BlockPlan& p) {
                           for (SparseStrand& strand : p.lists.strands) strand.merges = false;
                         }});
    } else {
      damages.push_back({"range_ids", [](BlockPlan& p) {
                           const SparseItem& text = p.lists.items.back();  // all ranges
                           std::swap(p.lists.range_ids[text.first_range],
                                     p.lists.range_ids[text.first_range + 1]);
                         }});
    }
    for (size_t i = 0; i < damages.size(); ++i) {
      BlockPlan damaged = plan;
      damages[i].apply(damaged);
      const std::string message =
          error_of(ErrorKind::kData, [&] { check_block_plan(damaged, "file"); });
      EXPECT_THAT(message, HasSubstr(damages[i].expected)) << method << " damage " << i;
    }
  }
}

// Any byte of the file may change: it is refused, or it still is a plan that runs.
TEST(BlockPlan, DamagedFilesNeverRunWild) {
  const AttendProblem problem = make_problem(1, 1, {3, 3, 4}, 1, 0, 4, false);
  const TempDir folder;
  for (const auto& [method, texts] : kMethods) {
    const auto path = folder / (method + ".safetensors");
    write_block_plan(path, *run_attend(problem, method, texts, Impl::kReference).plan, false);
    const std::string whole = read_file(path);
    int refused = 0;
    for (size_t at = 0; at < whole.size(); at += 3) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
      const auto damaged = folder.write("damaged.safetensors", bytes);
      try {
        const BlockPlan plan = read_block_plan(damaged);
        if (plan.tokens() == problem.x.tokens && plan.batch * plan.heads == 1) {
          run_plan(problem, plan, available_impls().back());
        }
      } catch (const Error& error) {
        EXPECT_TRUE(error.kind() == ErrorKind::kData || error.kind() == ErrorKind::kUnsupported)
            << at << ": " << error.what();
        ++refused;
      }
    }
    EXPECT_GT(refused, static_cast<int>(whole.size() / 3) / 2) << method;
  }
}

TEST(BlockPlan, OtherFilesAndOtherInputsAreRefused) {
  const TempDir folder;
  const AttendProblem problem = make_problem(1, 2, {3, 3, 4}, 0, 0, 4, false);
  const std::vector<float> values(4);
  write_safetensors(folder / "other.safetensors", {{"q", Dtype::kF32, {4}, bytes_of(values)}}, {},
                    false);
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { read_block_plan(folder / "other.safetensors"); }),
              HasSubstr("expected a block plan"));
  const BlockPlan plan =
      *run_attend(problem, kMethods[0].first, kMethods[0].second, Impl::kReference).plan;
  const AttendProblem shorter = make_problem(1, 2, {3, 3, 3}, 0, 0, 4, false);
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { run_plan(shorter, plan); }),
              HasSubstr("q: expected"));
  const AttendProblem fewer = make_problem(1, 1, {3, 3, 4}, 0, 0, 4, false);
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { run_plan(fewer, plan); }), HasSubstr("2 heads"));
}

// Uneven counts, a row block with an empty list, and a key tile that no list holds.
TEST(BlockPlan, UnevenListsEmptyListsAndUnlistedTiles) {
  AttendProblem problem = make_problem(1, 2, {2, 4, 4}, 0, 0, 8, true);  // tiles of 8, N = 4
  BlockPlan plan =
      *run_attend(problem, "vsa", {{"--block", "2,2,2"}, {"--top-k", "4"}}, Impl::kReference).plan;
  const TokenLayout layout = plan.layout();
  std::vector<uint8_t> mask(2 * 4 * 4, 0);
  for (SparseItem& item : plan.lists.items) {
    const auto tile = static_cast<int32_t>(std::find(layout.order.begin(), layout.order.end(),
                                                     plan.lists.rows[item.first_row]) -
                                           layout.order.begin()) /
                      8;
    item.num_ranges = tile;  // tiles 0 .. tile-1: none for tile 0, and tile 3 is never listed
    for (int32_t j = 0; j < tile; ++j) mask[tile * 4 + j] = mask[16 + tile * 4 + j] = 1;
  }
  check_block_plan(plan, "uneven");
  for (const Impl impl : available_impls()) {
    SCOPED_TRACE(impl_name(impl));
    AttendProblem silent = problem;  // gate 0: the fine branch alone
    silent.gate.assign(problem.gate.size(), 0.0f);
    const AttendRun fine = run_plan(silent, plan, impl), both = run_plan(problem, plan, impl);
    double coarse = 0;
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t d = 0; d < 8; ++d) {
        for (const int32_t token : layout.tokens_of(0)) {
          const int64_t at = (head * 32 + token) * 8 + d;
          ASSERT_EQ(fine.floats.at("out")[at], 0.0f);
          ASSERT_EQ(fine.floats.at("dq")[at], 0.0f);
        }
        for (const int32_t token : layout.tokens_of(3)) {
          const int64_t at = (head * 32 + token) * 8 + d;
          ASSERT_EQ(fine.floats.at("dk")[at], 0.0f);
          ASSERT_EQ(fine.floats.at("dv")[at], 0.0f);
          coarse += std::abs(both.floats.at("dk")[at]) + std::abs(both.floats.at("dv")[at]);
        }
      }
    }
    EXPECT_GT(coarse, 0.1);
    // the other rows are judged by the naive form; rows of tile 0 attend to nothing
    AttendRun judged = both;
    judged.masks["mask"] = mask;
    for (int64_t j = 0; j < 4; ++j) judged.masks["mask"][j] = judged.masks["mask"][16 + j] = 1;
    const std::vector<double> expected = naive_attend(problem, tensors_of(problem), judged);
    for (int64_t i = 0; i < 2 * 32; ++i) {
      if (i % 32 / 4 % 4 < 2 && i % 4 < 2) continue;  // tile 0: h < 2, w < 2
      for (int64_t d = 0; d < 8; ++d) {
        ASSERT_NEAR(both.floats.at("out")[i * 8 + d], expected[i * 8 + d], 1e-4) << i;
      }
    }
  }
}

}  // namespace
}  // namespace sparsescope::testing
