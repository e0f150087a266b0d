// Every recorded statistic against its definition on the whole probability matrix.
#include "capture/profiling_hook.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "capture/call_layout.h"
#include "capture/query_windows.h"
#include "capture/statistic_grids.h"
#include "core/error.h"
#include "core/rng.h"
#include "unit/capture/naive_statistics.h"
#include "unit/capture/naive_vmoba.h"
#include "unit/capture/recorded_call.h"

namespace sparsescope {
namespace {

using naive::Call;
using naive::Matrix;
using naive::RecordedCall;

struct Case {
  const char* name;
  TokenGrid grid;
  TileShape tile;
  int64_t prefix, suffix, heads, head_dim;
  std::vector<std::string> partitions;
};

const Case kCases[] = {
    {"ragged", {7, 5, 6}, {4, 4, 4}, 0, 0, 3, 16, {"temporal:2", "spatial:5,3", "st:7,5,2"}},
    {"with_text", {3, 5, 6}, {2, 4, 4}, 3, 2, 2, 12, {"temporal:1", "spatial:1,2"}},
    {"large_tiles", {5, 9, 9}, {4, 8, 8}, 0, 0, 1, 8, {"st:5,3,3"}},
    {"tiny_tiles", {4, 4, 6}, {1, 2, 2}, 0, 1, 2, 8, {}},
    {"one_tile", {2, 3, 4}, {4, 4, 4}, 0, 0, 1, 8, {"temporal:1"}},
};

std::vector<Partition> parse_all(const std::vector<std::string>& texts) {
  std::vector<Partition> partitions;
  for (const std::string& text : texts) partitions.push_back(parse_partition(text));
  return partitions;
}

Call make_call(const Case& c) {
  return naive::make_call(c.grid, c.tile, c.prefix, c.suffix, c.heads, c.head_dim, 5);
}

// The values of one head.
std::vector<double> of_head(const RecordedCall& recorded, const std::string& name, int64_t head) {
  const auto found = recorded.arrays.find(name);
  if (found == recorded.arrays.end()) {
    ADD_FAILURE() << "no array " << name;
    return {};
  }
  const StatArray& array = found->second;
  EXPECT_EQ(array.shape.size(), array.axes.size() + 1) << name;
  const int64_t size = std::ssize(array.values) / array.shape[0];
  return {array.values.begin() + head * size, array.values.begin() + (head + 1) * size};
}

void expect_values(const std::vector<double>& found, const std::vector<double>& expected,
                   double slack, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], slack * std::max(1.0, std::abs(expected[i])))
        << what << " at " << i;
  }
}

class RecordedStatistics : public testing::TestWithParam<std::tuple<Impl, size_t>> {
 protected:
  const Case& the_case() const { return kCases[std::get<1>(GetParam())]; }
  Impl impl() const { return std::get<0>(GetParam()); }
};

TEST_P(RecordedStatistics, MatchTheirDefinitions) {
  const Case& c = the_case();
  const Call call = make_call(c);
  const RecordedCall recorded = naive::record(call, parse_all(c.partitions), impl(), 2);
  for (int64_t h = 0; h < call.heads; ++h) {
    const Matrix probs = naive::probabilities(call, h);
    const naive::TileFacts facts = naive::tile_facts(call, h, probs);
    const auto expect = [&](const std::string& name, const std::vector<double>& expected,
                            double slack = 3e-6) {
      expect_values(of_head(recorded, name, h), expected, slack,
                    name + " of head " + std::to_string(h));
    };
    expect("coverage_row", naive::coverage_row(facts));
    expect("coverage_tile", naive::coverage_tile(facts));
    expect("coverage_pooled", naive::coverage_pooled(facts));
    expect("key_mass", naive::key_mass(facts));
    expect("row_overlap", {naive::row_overlap(facts)});
    expect("score_moments", naive::score_moments(facts), 3e-5);
    std::vector<double> density, recall;
    naive::bsa_curves(facts, density, recall);
    expect("bsa_density", density);
    expect("bsa_recall", recall);
    expect("mass_dt", naive::distance_mass(call, probs, 0));
    expect("mass_dh", naive::distance_mass(call, probs, 1));
    expect("mass_dw", naive::distance_mass(call, probs, 2));
    expect("frame_mass", naive::frame_mass(call, probs));
    expect("entropy", {naive::entropy(probs)}, 1e-5);
    expect("prefix_mass", {naive::text_mass(call, probs)});
    expect("query_cosine", naive::query_cosine(call, h), 0.0);
    expect("offset_mass", naive::offset_mass(call, probs));
    std::vector<double> cosines;
    for (const TileShape& window : query_windows(TileGrid(c.grid, c.tile))) {
      cosines.push_back(naive::window_cosine(call, h, window));
    }
    expect("window_cosine", cosines, 1e-6);

    const size_t N = facts.mass.size();
    for (size_t i = 0; i < N; ++i) {
      for (size_t j = 0; j < N; ++j) {
        EXPECT_NEAR(recorded.map[(h * N + i) * N + j], facts.mass[i][j], 3e-6);
      }
    }
  }
}

// slack: what one entry that falls on the other side of a cut may change
void expect_vmoba(const Call& call, const RecordedCall& recorded, const std::string& text,
                  double slack, const std::set<int32_t>& rows = {}) {
  std::vector<Matrix> probs;
  for (int64_t h = 0; h < call.heads; ++h) probs.push_back(naive::probabilities(call, h));
  const auto facts = naive::vmoba_facts(call, probs, parse_partition(text), rows);
  const std::string folder = "vmoba/" + text + "/";
  const auto check = [&](const GateRule& rule, const std::string& curve, int64_t at) {
    const auto expected = naive::apply_rule(facts, call.heads, rule);
    for (int64_t h = 0; h < call.heads; ++h) {
      const std::string what =
          text + " " + curve + " at " + std::to_string(at) + " head " + std::to_string(h);
      EXPECT_NEAR(of_head(recorded, folder + "density_" + curve, h).at(at), expected[h].density,
                  slack)
          << what;
      EXPECT_NEAR(of_head(recorded, folder + "recall_" + curve, h).at(at), expected[h].recall,
                  slack)
          << what;
    }
  };
  for (int64_t k = 1; k <= facts.blocks; ++k) {
    check({.select = GateSelect::kTopK, .top_k = k}, "topk", k - 1);
  }
  for (const GatePool pool :
       {GatePool::kQueryHead, GatePool::kHeadGlobal, GatePool::kBlock, GatePool::kOverall}) {
    for (size_t tau = 0; tau < kTaus.size(); ++tau) {
      check({.select = GateSelect::kThreshold, .pool = pool, .threshold = kTaus[tau]}, "tau",
            static_cast<int64_t>(static_cast<size_t>(pool) * kTaus.size() + tau));
    }
  }
}

// The reference back end forms gates with the same roundings as the test, so that every selection
// agrees; elsewhere a gate near a cut may fall on its other side.
TEST_P(RecordedStatistics, VmobaCurvesMatchTheRule) {
  const Case& c = the_case();
  const Call call = make_call(c);
  const RecordedCall recorded = naive::record(call, parse_all(c.partitions), impl(), 2);
  for (const std::string& text : c.partitions) {
    const double entry = 2.0 / static_cast<double>(c.grid.tokens());
    expect_vmoba(call, recorded, text, impl() == Impl::kReference ? 3e-6 : entry);
  }
}

// The statistics of the sampled rows alone, as if there were no others.
TEST_P(RecordedStatistics, OfSampledRowsMatchTheirDefinitions) {
  const Case& c = the_case();
  const int64_t volume = c.tile.t * c.tile.h * c.tile.w,
                per_tile = std::max<int64_t>(1, volume / 3);
  const Call call = make_call(c);
  const RecordedCall recorded = naive::record(call, parse_all(c.partitions), impl(), 2, per_tile);
  const CallLayout layout =
      make_call_layout({c.grid, c.prefix, c.suffix}, c.tile, {}, per_tile, naive::kRecordSeed);
  ASSERT_EQ(layout.sampled.size(), c.grid.tokens() * per_tile / volume);
  std::set<int32_t> rows;
  for (const int32_t token : layout.sampled.token)
    rows.insert(token - static_cast<int32_t>(c.prefix));
  for (int64_t h = 0; h < call.heads; ++h) {
    naive::TileFacts facts = naive::tile_facts(call, h, naive::probabilities(call, h));
    Matrix sampled;
    for (const int32_t row : rows) sampled.push_back(facts.row_mass[row]);
    facts.row_mass = sampled;
    expect_values(of_head(recorded, "coverage_row", h), naive::coverage_row(facts), 3e-6,
                  "coverage_row");
  }
  for (const std::string& text : c.partitions) {
    const double entry = 2.0 / static_cast<double>(rows.size());
    expect_vmoba(call, recorded, text, impl() == Impl::kReference ? 3e-6 : entry, rows);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RecordedStatistics,
                         testing::Combine(testing::ValuesIn(available_impls()),
                                          testing::Range(size_t{0}, std::size(kCases))),
                         [](const auto& param_info) {
                           std::string name =
                               std::string(impl_name(std::get<0>(param_info.param))) + "_" +
                               kCases[std::get<1>(param_info.param)].name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Gates of few distinct values, exact in fp32: every cut lies among ties.
TEST(RecordedVmoba, TiedGatesAreCutAsByTheRule) {
  Call call = naive::make_call({4, 4, 8}, {2, 4, 4}, 0, 0, 3, 8, 9);
  for (size_t i = 0; i < call.q.size(); ++i) {
    call.q[i] = std::round(static_cast<float>(normal(21, i)));
    call.k[i] = 2.0f * std::round(static_cast<float>(normal(22, i)));
  }
  const std::vector<std::string> texts{"temporal:1", "spatial:2,2", "st:2,2,4"};
  for (const Impl impl : available_impls()) {
    const RecordedCall recorded = naive::record(call, parse_all(texts), impl, 2);
    for (const std::string& text : texts) expect_vmoba(call, recorded, text, 3e-6);
  }
}

// A few long queries stretch the range of the gates, so that nearly all others share a few bins.
TEST(RecordedVmoba, CrowdedGatesAreCutAsByTheRule) {
  Call call = naive::make_call({4, 8, 8}, {2, 4, 4}, 0, 0, 2, 8, 11);
  for (int64_t d = 0; d < call.head_dim; ++d) call.q[17 * call.head_dim + d] *= 4000.0f;
  const std::string text = "st:2,2,2";
  for (const Impl impl : available_impls()) {
    const RecordedCall recorded = naive::record(call, parse_all({text}), impl, 2);
    const double entry = 2.0 / static_cast<double>(call.grid.tokens());
    expect_vmoba(call, recorded, text, impl == Impl::kReference ? 3e-6 : entry);
  }
}

TEST(RecordedVmoba, EqualGatesKeepEverything) {
  Call call = naive::make_call({2, 4, 4}, {2, 2, 2}, 0, 0, 2, 4, 9);
  std::fill(call.k.begin(), call.k.end(), 1.0f);
  const RecordedCall recorded = naive::record(call, parse_all({"temporal:1"}), Impl::kCpuBase, 1);
  const auto density = of_head(recorded, "vmoba/temporal:1/density_tau", 1);
  // One query's gates are all equal: a pool of them keeps everything.
  for (size_t tau = 0; tau < kTaus.size(); ++tau) EXPECT_EQ(density[tau], 1.0);
}

TEST(RecordedLaws, HoldOnEveryCase) {
  for (const Case& c : kCases) {
    const Call call = make_call(c);
    const RecordedCall recorded =
        naive::record(call, parse_all(c.partitions), default_cpu_impl(), 2);
    const TileGrid tiles(c.grid, c.tile);
    for (int64_t h = 0; h < c.heads; ++h) {
      const auto row = of_head(recorded, "coverage_row", h);
      const auto tile = of_head(recorded, "coverage_tile", h);
      const auto pooled = of_head(recorded, "coverage_pooled", h);
      const double video = 1.0 - of_head(recorded, "prefix_mass", h)[0];
      for (size_t i = 0; i < row.size(); ++i) {
        EXPECT_GE(row[i], tile[i] - 1e-6) << c.name;
        EXPECT_GE(tile[i], pooled[i] - 1e-6) << c.name;
        if (i > 0) {
          EXPECT_GE(row[i], row[i - 1] - 1e-7) << c.name;
        }
      }
      const auto key_mass = of_head(recorded, "key_mass", h);
      EXPECT_NEAR(row.back(), video, 2e-6) << c.name;
      EXPECT_NEAR(pooled.back(), video, 2e-6) << c.name;
      EXPECT_NEAR(of_head(recorded, "bsa_recall", h).back(), video, 2e-6) << c.name;
      EXPECT_NEAR(of_head(recorded, "bsa_density", h).back(), 1.0, 1e-9) << c.name;
      EXPECT_NEAR(std::accumulate(key_mass.begin(), key_mass.end(), 0.0), video, 2e-6) << c.name;
      const auto offsets = of_head(recorded, "offset_mass", h);
      EXPECT_NEAR(std::accumulate(offsets.begin(), offsets.end(), 0.0), video, 2e-6) << c.name;
      const auto counts = of_head(recorded, "query_cosine", h);
      EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0.0),
                static_cast<double>(c.grid.tokens() - tiles.num_tiles()))
          << c.name;
      for (const std::string& text : c.partitions) {
        const std::string folder = "vmoba/" + text + "/";
        EXPECT_NEAR(of_head(recorded, folder + "recall_topk", h).back(), video, 2e-6) << c.name;
        EXPECT_NEAR(of_head(recorded, folder + "density_topk", h).back(), 1.0, 1e-9) << c.name;
      }
    }
  }
}

TEST(RecordedThreads, DoNotChangeResults) {
  const Case& c = kCases[0];
  const Call call = make_call(c);
  const RecordedCall one = naive::record(call, parse_all(c.partitions), default_cpu_impl(), 1);
  const RecordedCall three = naive::record(call, parse_all(c.partitions), default_cpu_impl(), 3);
  for (const auto& [name, array] : one.arrays) {
    expect_values(three.arrays.at(name).values, array.values, 1e-9, name);
  }
}

TEST(RecordedOutput, IsDenseAttention) {
  const Call call = make_call(kCases[1]);
  const RecordedCall recorded = naive::record(call, {}, default_cpu_impl(), 2);
  const Matrix probs = naive::probabilities(call, 1);
  const int64_t S = call.tokens(), D = call.head_dim;
  for (int64_t r = 0; r < call.grid.tokens(); ++r) {
    for (int64_t d = 0; d < D; ++d) {
      double expected = 0;
      for (int64_t s = 0; s < S; ++s) expected += probs[r][s] * call.v[(S + s) * D + d];
      EXPECT_NEAR(recorded.out[(S + call.prefix + r) * D + d], expected, 1e-5);
    }
  }
}

TEST(RecordedSites, AreThoseAskedFor) {
  const Call call = make_call(kCases[4]);
  ThreadPool pool(1);
  ProfilingOptions options{.tile = call.tile};
  options.record = [](const SiteKey& site) { return site.layer != 1; };
  options.keep_map = [](const SiteKey& site) { return site.layer == 2; };
  ProfilingHook hook(options, default_cpu_impl(), pool);
  std::vector<float> out, plain_out;
  for (int64_t layer = 0; layer < 3; ++layer) {
    AttentionCall attention = naive::attention_call(call, layer == 1 ? plain_out : out);
    attention.site.layer = layer;
    hook.attend(attention);
  }
  const auto sites = hook.take();
  ASSERT_EQ(sites.size(), 2u);
  EXPECT_EQ(sites[0].site.layer, 0);
  EXPECT_TRUE(sites[0].map.empty());
  EXPECT_EQ(sites[1].site.layer, 2);
  EXPECT_EQ(sites[1].map.size(), 1u);
  EXPECT_TRUE(hook.take().empty());
  for (size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(plain_out[i], out[i], 1e-6);
}

TEST(RecordedSites, RefuseBatches) {
  const Call call = make_call(kCases[4]);
  ThreadPool pool(1);
  ProfilingHook hook({.tile = call.tile}, Impl::kReference, pool);
  std::vector<float> out;
  AttentionCall attention = naive::attention_call(call, out);
  attention.q.batch = 2;
  EXPECT_THROW(hook.attend(attention), Error);
}

}  // namespace
}  // namespace sparsescope
