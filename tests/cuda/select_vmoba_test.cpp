// VMoBA on the device against the rule's definition. Keys are unit vectors, so that a query's
// coordinates are its gates in every implementation: masks must be the same, ties included.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/rng.h"
#include "core/thread_pool.h"
#include "cuda/device_fixture.h"
#include "cuda/select_case.h"
#include "kernels/cuda/select_row_lists.h"
#include "sparse/row_lists.h"
#include "sparse/vmoba_selector.h"
#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

using SelectVmoba = CudaTest;

enum class Gates { kNormal, kTied, kEqual, kOutlier, kSigned };

float gate_value(Gates kind, uint64_t seed, int64_t i) {
  const double value = normal(seed, i);
  switch (kind) {
    case Gates::kNormal:
      return static_cast<float>(value);
    case Gates::kTied:
      return static_cast<float>(std::floor(2 * value));
    case Gates::kEqual:
      return 1.5f;
    case Gates::kOutlier:  // almost all entries share the first digits
      return i == 77 ? -1e6f : 100.0f + 1e-4f * static_cast<float>(value);
    case Gates::kSigned:  // zeros of both signs
      return i % 3 == 0 ? static_cast<float>(value)
                        : std::copysign(0.0f, static_cast<float>(value));
  }
  return 0;
}

// Blocks of `frames` tokens; the gates of a query by block.
struct Problem {
  TokenLayout layout;
  Qkv x;
  std::vector<int64_t> heads;

  Problem(int64_t batch, int64_t num_heads, int64_t tokens, int64_t frames)
      : layout(make_token_layout(TileGrid({tokens, 1, 1}, {frames, 1, 1}), 0, 0)) {
    const int64_t blocks = layout.num_tiles();
    x = {.batch = batch, .heads = num_heads, .tokens = tokens, .head_dim = blocks};
    for (int64_t i = 0; i < batch * num_heads * tokens * blocks; ++i) {
      x.k.push_back(i % blocks == i / blocks % tokens / frames ? 1.0f : 0.0f);
    }
    heads.resize(num_heads);
    std::iota(heads.begin(), heads.end(), 0);
  }
  Problem(Gates kind, int64_t batch, int64_t num_heads, int64_t tokens, int64_t frames)
      : Problem(batch, num_heads, tokens, frames) {
    for (int64_t i = 0; i < std::ssize(x.k); ++i) x.q.push_back(gate_value(kind, 5, i));
  }
};

BlockLists host_lists(const Qkv& x, const TokenLayout& layout, const std::vector<int64_t>& heads,
                      const VmobaParams& params) {
  ThreadPool pool(1);
  const std::vector<RowSelection> selections = select_vmoba(
      x.view(x.q), x.view(x.k), heads, layout, {.params = params}, Impl::kReference, pool);
  std::vector<HeadLists> of_heads;
  for (size_t i = 0; i < selections.size(); ++i) {
    of_heads.push_back(row_head_lists(layout, selections[i], static_cast<int64_t>(i / heads.size()),
                                      heads[i % heads.size()], pool));
  }
  return join_lists(layout, of_heads);
}

std::vector<VmobaParams> all_rules(int64_t blocks) {
  std::vector<VmobaParams> rules;
  for (const VmobaPool pool :
       {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
    for (const double tau : {0.0, 0.25, 0.9, 1.0}) {
      rules.push_back({.select = VmobaSelect::kThreshold, .threshold = tau, .pool = pool});
    }
    if (pool == VmobaPool::kBlock) continue;
    for (const int64_t k : {int64_t{1}, int64_t{2}, blocks / 2 + 1, blocks + 3}) {
      rules.push_back({.select = VmobaSelect::kTopK, .top_k = k, .pool = pool});
    }
  }
  return rules;
}

// One of each kind.
std::vector<VmobaParams> few_rules() {
  std::vector<VmobaParams> rules;
  for (const VmobaPool pool :
       {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
    rules.push_back({.select = VmobaSelect::kThreshold, .threshold = 0.25, .pool = pool});
  }
  rules.push_back({.select = VmobaSelect::kTopK, .top_k = 2, .pool = VmobaPool::kOverall});
  return rules;
}

std::string name_of(const VmobaParams& rule) {
  return fmt::format("{} {} k {} tau {}", to_string(rule.select), to_string(rule.pool), rule.top_k,
                     rule.threshold);
}

void expect_as_host(const Problem& problem, const std::vector<VmobaParams>& rules,
                    int64_t score_bytes = kDeviceScoreBytes) {
  const DeviceInputs inputs(problem.x, Dtype::kF32, Order::kHeadMajor);
  DeviceSelectorCall call = inputs.call(problem.layout);
  call.score_bytes = score_bytes;
  for (const VmobaParams& rule : rules) {
    SCOPED_TRACE(name_of(rule));
    expect_lists(select_vmoba_on_device(call, problem.heads, {.params = rule}),
                 host_lists(problem.x, problem.layout, problem.heads, rule), problem.x);
  }
}

TEST_F(SelectVmoba, EveryRuleOnEveryKindOfGates) {
  for (const Gates kind :
       {Gates::kNormal, Gates::kTied, Gates::kEqual, Gates::kOutlier, Gates::kSigned}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const Problem problem(kind, 2, 2, 40, 8);
    expect_as_host(problem, all_rules(problem.layout.num_tiles()));
  }
}

TEST_F(SelectVmoba, UnderEverySchedule) {
  const Problem problem(Gates::kTied, 1, 2, 70, 12);
  for_each_schedule([&] { expect_as_host(problem, few_rules()); });
}

TEST_F(SelectVmoba, ManyBlocks) { expect_as_host({Gates::kNormal, 1, 1, 280, 2}, few_rules()); }
TEST_F(SelectVmoba, OneBlock) { expect_as_host({Gates::kNormal, 1, 2, 20, 32}, all_rules(1)); }

// Waves of one head, and of some rows of a head: gates are made again for every pass.
TEST_F(SelectVmoba, GatesThatAreHeldAtOnceChangeNothing) {
  const Problem problem(Gates::kTied, 2, 3, 70, 16);
  const int64_t row_bytes = 8 * static_cast<int64_t>(sizeof(float));
  for (const int64_t rows : {150, 33}) expect_as_host(problem, few_rules(), rows * row_bytes);
}

// The tables of the method's specification: S own, 1 another block.
TEST_F(SelectVmoba, PublishedMicroCase) {
  Problem problem(1, 2, 6, 2);
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t s = 0; s < 6; ++s) {
      for (int64_t c = 0; c < 3; ++c) {
        problem.x.q.push_back(static_cast<float>((23 * ((c * 2 + h) * 6 + s) + 7) % 37 - 18));
      }
    }
  }
  const auto top_k = [](VmobaPool pool, int64_t k) {
    return VmobaParams{.select = VmobaSelect::kTopK, .top_k = k, .pool = pool};
  };
  const auto threshold = [](VmobaPool pool, double tau) {
    return VmobaParams{.select = VmobaSelect::kThreshold, .threshold = tau, .pool = pool};
  };
  using enum VmobaPool;
  const std::vector<std::pair<VmobaParams, std::string>> cases{
      {top_k(kQueryHead, 2), "SS1010/10SS01/0101SS SS1100/00SS11/1100SS"},
      {top_k(kHeadGlobal, 2), "SS1010/10SS01/0101SS SS0100/00SS11/1101SS"},
      {top_k(kOverall, 2), "SS1010/10SS01/0101SS SS0100/00SS11/1101SS"},
      {top_k(kHeadGlobal, 3), "SS1111/11SS11/1111SS SS1111/11SS11/1111SS"},
      {threshold(kQueryHead, .25), "SS1010/10SS01/0101SS SS1100/00SS11/1100SS"},
      {threshold(kQueryHead, .75), "SS1010/10SS01/0101SS SS1100/00SS11/1101SS"},
      {threshold(kHeadGlobal, .25), "SS0000/00SS00/0001SS SS0000/00SS10/0000SS"},
      {threshold(kHeadGlobal, .5), "SS0000/00SS01/0001SS SS0000/00SS10/0000SS"},
      {threshold(kHeadGlobal, .75), "SS0010/00SS01/0101SS SS0100/00SS10/1001SS"},
      {threshold(kBlock, .25), "SS0000/00SS00/0001SS SS0100/00SS10/0000SS"},
      {threshold(kBlock, .5), "SS0000/00SS00/0001SS SS0100/00SS10/1000SS"},
      {threshold(kBlock, .75), "SS0010/10SS01/0101SS SS0100/00SS10/1000SS"},
      {threshold(kOverall, .25), "SS0000/00SS00/0001SS SS0000/00SS00/0000SS"},
      {threshold(kOverall, .5), "SS0000/00SS00/0001SS SS0000/00SS10/1000SS"},
      {threshold(kOverall, .75), "SS0010/00SS01/0101SS SS0100/00SS10/1001SS"}};
  const DeviceInputs inputs(problem.x, Dtype::kBF16, Order::kHeadMajor);
  for (const auto& [rule, expected] : cases) {
    const RangesOfRow ranges = ranges_of_rows(
        select_vmoba_on_device(inputs.call(problem.layout), problem.heads, {.params = rule})
            .to_host());
    std::string found;
    for (int32_t h = 0; h < 2; ++h) {
      if (h > 0) found.push_back(' ');
      for (int32_t c = 0; c < 3; ++c) {
        if (c > 0) found.push_back('/');
        for (int32_t s = 0; s < 6; ++s) {
          const std::vector<int32_t>& of_row = ranges.at({0, h, s});
          const bool chosen = std::find(of_row.begin(), of_row.end(), c) != of_row.end();
          found.push_back(!chosen ? '0' : s / 2 == c ? 'S' : '1');
        }
      }
    }
    EXPECT_EQ(found, expected) << name_of(rule);
  }
}

// Blocks of a video, with text and of every type; the reference's gates are fp64 sums, and none of
// these seeds lies within a rounding of a cut.
TEST_F(SelectVmoba, VideoWithText) {
  const TokenGrid grid{4, 6, 8};
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    for (const char* text : {"temporal:3", "spatial:3,4", "st:2,3,4"}) {
      const TokenLayout layout =
          make_token_layout(partition_blocks(parse_partition(text), grid), 5, 66);
      const DeviceInputs inputs(random_qkv(2, 2, 263, 32, 17), dtype, Order::kTokenMajor);
      const std::vector<int64_t> heads{1};
      for (const VmobaPool pool : {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal}) {
        const VmobaParams rule{.select = VmobaSelect::kThreshold, .threshold = 0.3, .pool = pool};
        SCOPED_TRACE(fmt::format("{} {}", text, name_of(rule)));
        expect_lists(select_vmoba_on_device(inputs.call(layout), heads, {.params = rule}),
                     host_lists(inputs.host(), layout, heads, rule), inputs.host());
      }
    }
  }
}

// Gates of 16-bit queries come from the matrix unit where D is 64 or 128.
TEST_F(SelectVmoba, GatesByMma) {
  const TokenGrid grid{5, 6, 8};
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    for (const int64_t head_dim : {64, 128}) {
      for (const char* partition : {"spatial:3,4", "st:1,1,2"}) {  // 4 and 120 blocks
        const TokenLayout layout =
            make_token_layout(partition_blocks(parse_partition(partition), grid), 3, 0);
        const DeviceInputs inputs(random_qkv(1, 2, 243, head_dim, 31), dtype, Order::kTokenMajor);
        DeviceSelectorCall call = inputs.call(layout);
        if (dtype == Dtype::kF16) call.score_bytes = int64_t{100 * 120 * 4};  // some rows at a time
        for (const VmobaPool pool : {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal}) {
          const VmobaParams rule{.select = VmobaSelect::kThreshold, .threshold = 0.3, .pool = pool};
          SCOPED_TRACE(fmt::format("{} D {} {}", partition, head_dim, name_of(rule)));
          const std::vector<int64_t> heads{0, 1};
          expect_lists(select_vmoba_on_device(call, heads, {.params = rule}),
                       host_lists(inputs.host(), layout, heads, rule), inputs.host());
        }
      }
    }
  }
}

TEST_F(SelectVmoba, RunsLeaveWorkForAllMultiprocessors) {
  EXPECT_EQ(cuda::run_rows(40, 75600, 36), 1024);
  EXPECT_EQ(cuda::run_rows(12, 32760, 72), 512);
  EXPECT_EQ(cuda::run_rows(1, 32760, 72), 128);
  EXPECT_EQ(cuda::run_rows(40, 75600, 1000), 512);  // 33 words a row in shared memory
}

TEST_F(SelectVmoba, TellsWhatItCannotDo) {
  const Problem problem(Gates::kNormal, 1, 1, 20, 5);
  const DeviceInputs inputs(problem.x, Dtype::kF32, Order::kHeadMajor);
  const auto error = [&](ErrorKind kind, const VmobaOptions& options) {
    return error_of(
        kind, [&] { select_vmoba_on_device(inputs.call(problem.layout), problem.heads, options); });
  };
  EXPECT_THAT(error(ErrorKind::kUnsupported, {.params = {}, .compat = true}),
              ::testing::HasSubstr("compat"));
  EXPECT_THAT(error(ErrorKind::kUsage, {.params = {.pool = VmobaPool::kBlock}}),
              ::testing::HasSubstr("no block pool"));
  const Qkv x = random_qkv(1, 1, 1537, 1, 3);
  const DeviceInputs many(x, Dtype::kF32, Order::kHeadMajor);
  const TokenLayout tokens = make_token_layout(TileGrid({1537, 1, 1}, {1, 1, 1}), 0, 0);
  EXPECT_THAT(
      error_of(ErrorKind::kUnsupported,
               [&] { select_vmoba_on_device(many.call(tokens), problem.heads, {.params = {}}); }),
      ::testing::HasSubstr("at most 1536 blocks"));
}

}  // namespace
}  // namespace sparsescope::testing
