#include "sparse/annealing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sparse/attend.h"
#include "sparse/bsa_queries.h"
#include "sparse/top_k.h"
#include "support/near.h"
#include "unit/sparse/attend_problem.h"

namespace sparsescope {
namespace {

using testing::AttendProblem;
using testing::AttendRun;

TEST(Annealing, BsaKeptKeyTiles) {
  for (int64_t step = 0; step < 30; ++step) EXPECT_EQ(bsa_kv_keep_at(step), 1.0);
  EXPECT_EQ(bsa_kv_keep_at(30), 0.97);
  EXPECT_EQ(bsa_kv_keep_at(899), 0.13);
  EXPECT_EQ(bsa_kv_keep_at(900), 0.10);
  EXPECT_EQ(bsa_kv_keep_at(30000), 0.10);
}

TEST(Annealing, BsaKeptQueriesOfAWindow) {
  // 64, 56, 48, 40 and 32 queries of a tile of eight windows.
  const std::pair<int64_t, int64_t> table[] = {{0, 8},   {224, 8}, {225, 7}, {450, 6},
                                               {675, 5}, {899, 5}, {900, 4}, {30000, 4}};
  for (const auto& [step, kept] : table) {
    EXPECT_EQ(bsa_kept_per_window_at(step), kept) << step;
    EXPECT_EQ(query_quota(8, {.keep = bsa_kept_per_window_at(step) / 8.0}), kept) << step;
  }
}

// The end values are those that Python prints for min(step // interval, target // rate) * rate.
TEST(Annealing, VsaEndsWherePythonEnds) {
  struct End {
    double target, rate, sparsity;
    bool misses;
  };
  const End table[] = {{0.9, 0.03, 0.8999999999999999, true},
                       {0.8, 0.03, 0.78, true},
                       {0.875, 0.03, 0.87, true},
                       {0.9, 0.05, 0.8500000000000001, true},
                       {0.9, 0.1, 0.8, true},
                       {0.8, 0.01, 0.8, false},
                       {0.9, 0.01, 0.9, false}};
  for (const End& end : table) {
    const VsaAnnealing annealing{.target = end.target, .rate = end.rate, .interval = 1};
    EXPECT_EQ(vsa_final_sparsity(annealing), end.sparsity) << end.target << " " << end.rate;
    EXPECT_EQ(vsa_sparsity_at(annealing, 1000000), end.sparsity);
    EXPECT_EQ(vsa_misses_target(annealing), end.misses) << end.target << " " << end.rate;
  }
}

TEST(Annealing, VsaRisesByItsRateEveryInterval) {
  for (const int64_t interval : {50, 30}) {
    const VsaAnnealing annealing{.target = 0.9, .rate = 0.03, .interval = interval};
    EXPECT_EQ(vsa_sparsity_at(annealing, 0), 0.0);
    EXPECT_EQ(vsa_sparsity_at(annealing, interval - 1), 0.0);
    EXPECT_EQ(vsa_sparsity_at(annealing, interval), 0.03);
    EXPECT_EQ(vsa_sparsity_at(annealing, 3 * interval), 0.09);
    EXPECT_EQ(vsa_sparsity_at(annealing, 30 * interval - 1), 29 * 0.03);
    EXPECT_EQ(vsa_sparsity_at(annealing, 30 * interval), 0.8999999999999999);
  }
  EXPECT_EQ(top_k_from_sparsity(vsa_final_sparsity({}), 1200), 121);
  EXPECT_EQ(top_k_from_sparsity(0.9, 1200), 120);
}

// The settings of a training step, as docs/attend.md shows them.
BsaSettings bsa_at(int64_t step) {
  BsaSettings settings{.block = {4, 4, 4}};
  settings.options.kv.keep = bsa_kv_keep_at(step);
  settings.options.query.keep = bsa_kept_per_window_at(step) / 8.0;
  return settings;
}

VsaSettings vsa_at(int64_t step, const TokenGrid& grid) {
  const VsaAnnealing annealing{.target = 0.9, .rate = 0.03, .interval = 50};
  const int64_t num_tiles = TileGrid(grid, {4, 4, 4}).num_tiles();
  return {.block = {4, 4, 4},
          .top_k = top_k_from_sparsity(vsa_sparsity_at(annealing, step), num_tiles)};
}

AttendRun train(const AttendProblem& problem, const MethodSettings& method) {
  ThreadPool pool(2);
  const AttendInputs inputs = problem.inputs();
  return testing::as_run(attend(inputs, {.grid = problem.grid, .method = method, .backward = true},
                                default_cpu_impl(), pool));
}

TEST(Annealing, TrainingStartsDenseAndEndsAtTheTarget) {
  AttendProblem problem = testing::make_problem(1, 2, {4, 16, 20}, 0, 0, 16, true);  // 20 tiles
  std::fill(problem.gate.begin(), problem.gate.end(), 0.0f);  // as a retrofit starts
  const AttendRun dense = train(problem, DenseSettings{});
  for (const MethodSettings& method :
       {MethodSettings(bsa_at(0)), MethodSettings(vsa_at(0, problem.grid))}) {
    const AttendRun first = train(problem, method);
    for (const char* name : {"out", "dq", "dk", "dv"}) {
      EXPECT_TRUE(testing::near(first.floats.at(name), dense.floats.at(name), {.max_scaled = 1e-5}))
          << name;
    }
  }
  const auto kept = [](const std::vector<uint8_t>& mask) {
    return std::count(mask.begin(), mask.end(), 1);
  };
  EXPECT_EQ(kept(train(problem, bsa_at(450)).masks.at("kept")), 2 * 20 * 48);
  EXPECT_EQ(kept(train(problem, bsa_at(900)).masks.at("kept")), 2 * 20 * 32);
  EXPECT_EQ(kept(train(problem, vsa_at(750, problem.grid)).masks.at("mask")), 2 * 20 * 11);
  EXPECT_EQ(kept(train(problem, vsa_at(1500, problem.grid)).masks.at("mask")), 2 * 20 * 3);
}

}  // namespace
}  // namespace sparsescope
