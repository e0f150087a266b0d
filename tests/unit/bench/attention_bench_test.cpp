// The benchmark on a tiny problem: every run is checked and reported, wrong kernels are refused.
// Nothing here asserts a time.
#include "bench/attention_bench.h"

#include <gtest/gtest.h>

#include <set>

#include "bench/sparse_case.h"
#include "support/expect_error.h"

namespace sparsescope::testing {
namespace {

AttentionBenchOptions tiny_options() {
  AttentionBenchOptions options;
  options.shape = {
      .batch = 1, .heads = 2, .tokens = 129, .head_dim = 16, .grid = {2, 8, 8}, .prefix = 1};
  options.densities = {0.5};
  options.backward = true;
  options.timing.repeats = 1;
  return options;
}

AttentionReport run(const AttentionBenchOptions& options,
                    const AttentionKernels& kernels = attention_kernels(default_cpu_impl())) {
  return bench_attention(options, default_cpu_impl(), kernels, {});
}

TEST(AttentionBench, EveryMethodIsCheckedAndTimedInBothStatesOfTheCaches) {
  AttentionBenchOptions options = tiny_options();
  options.caches = {CacheState::kWarm, CacheState::kCold};
  const AttentionReport report = run(options);
  std::set<std::pair<std::string, std::string>> found;
  for (const Measurement& m : report.runs) {
    found.insert({m.method, to_string(m.caches) + " " + to_string(m.pass)});
    EXPECT_LE(m.deviation, m.bound) << m.name();
    EXPECT_GT(m.seconds.median, 0) << m.name();
    EXPECT_GT(m.density, 0) << m.name();
  }
  for (const std::string& method : benchmark_methods()) {
    if (method == "torch-flash") continue;  // of a GPU alone
    EXPECT_TRUE(found.contains({method, "warm forward"})) << method;
    EXPECT_TRUE(found.contains({method, "cold forward"})) << method;
    const bool has_gradient = method != "masses" && !method.starts_with("profile");
    EXPECT_EQ(found.contains({method, "warm backward"}), has_gradient) << method;
  }
}

TEST(AttentionBench, EveryTypeOfInputAgrees) {
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16}) {
    AttentionBenchOptions options = tiny_options();
    options.shape.dtype = dtype;
    EXPECT_FALSE(run(options).runs.empty());
  }
}

TEST(AttentionBench, MethodsAreThoseAskedForAndDense) {
  AttentionBenchOptions options = tiny_options();
  options.methods = {"vsa"};
  options.backward = false;
  const AttentionReport report = run(options);
  ASSERT_EQ(report.runs.size(), 2u);
  EXPECT_EQ(report.runs[0].method, "dense");
  EXPECT_EQ(report.runs[1].method, "vsa");
  EXPECT_TRUE(report.runs[1].selection.has_value());
}

TEST(AttentionBench, ScalingAddsDenseWithOneThread) {
  AttentionBenchOptions options = tiny_options();
  options.methods = {"dense"};
  options.threads = 2;
  options.scaling = true;
  options.backward = false;
  const AttentionReport report = run(options);
  ASSERT_EQ(report.runs.size(), 2u);
  EXPECT_EQ(report.runs[1].threads, 1);
  EXPECT_TRUE(ratios_of(report, report.runs[0]).scaling.has_value());
}

// Kernels that compute the right thing and then spoil one value.
template <typename Params, void (*AttentionKernels::*kernel)(const Params&, ThreadPool&)>
AttentionKernels spoiled(void (*replacement)(const Params&, ThreadPool&)) {
  AttentionKernels kernels = attention_kernels(default_cpu_impl());
  kernels.*kernel = replacement;
  return kernels;
}

TEST(AttentionBench, RefusesAWrongDenseKernel) {
  const AttentionKernels kernels = spoiled<DenseAttentionParams, &AttentionKernels::dense>(
      [](const DenseAttentionParams& params, ThreadPool& pool) {
        attention_kernels(default_cpu_impl()).dense(params, pool);
        params.out.data[0] += 1;
      });
  const std::string message = error_of(ErrorKind::kInternal, [&] { run(tiny_options(), kernels); });
  EXPECT_THAT(message, ::testing::HasSubstr("dense, forward"));
}

TEST(AttentionBench, RefusesAWrongInstrumentedKernel) {
  const AttentionKernels kernels = spoiled<DenseAttentionParams, &AttentionKernels::dense>(
      [](const DenseAttentionParams& params, ThreadPool& pool) {
        attention_kernels(default_cpu_impl()).dense(params, pool);
        if (params.sink.consume != nullptr) params.out.data[5] += 1;
      });
  const std::string message = error_of(ErrorKind::kInternal, [&] { run(tiny_options(), kernels); });
  EXPECT_THAT(message, ::testing::HasSubstr("masses, forward"));
}

TEST(AttentionBench, RefusesAWrongSparseKernel) {
  const AttentionKernels kernels = spoiled<SparseAttentionParams, &AttentionKernels::sparse>(
      [](const SparseAttentionParams& params, ThreadPool& pool) {
        attention_kernels(default_cpu_impl()).sparse(params, pool);
        params.out.data[0] += 1;
      });
  const std::string message = error_of(ErrorKind::kInternal, [&] { run(tiny_options(), kernels); });
  EXPECT_THAT(message, ::testing::HasSubstr("random tiles"));
}

TEST(AttentionBench, RefusesAWrongBackwardKernel) {
  const AttentionKernels kernels =
      spoiled<SparseBackwardParams, &AttentionKernels::sparse_backward>(
          [](const SparseBackwardParams& params, ThreadPool& pool) {
            attention_kernels(default_cpu_impl()).sparse_backward(params, pool);
            params.dk.data[0] += 10;
          });
  const std::string message = error_of(ErrorKind::kInternal, [&] { run(tiny_options(), kernels); });
  EXPECT_THAT(message, ::testing::HasSubstr("dense, backward"));
}

TEST(AttentionBench, OptionsThatCannotBeMetAreWrongUsage) {
  const auto message_of = [](const auto& change) {
    AttentionBenchOptions options = tiny_options();
    change(options);
    return error_of(ErrorKind::kUsage, [&] { run(options); });
  };
  using Options = AttentionBenchOptions;
  EXPECT_THAT(message_of([](Options& o) { o.shape.tokens = 128; }),
              ::testing::HasSubstr("S = 129, found 128"));
  EXPECT_THAT(message_of([](Options& o) { o.shape.head_dim = 257; }), ::testing::HasSubstr("256"));
  EXPECT_THAT(message_of([](Options& o) { o.methods = {"flash"}; }),
              ::testing::HasSubstr("'flash'"));
  EXPECT_THAT(message_of([](Options& o) { o.densities = {1.5}; }), ::testing::HasSubstr("1.5"));
  EXPECT_THAT(message_of([](Options& o) { o.timing.repeats = 0; }),
              ::testing::HasSubstr("--repeats"));
  EXPECT_THAT(message_of([](Options& o) { o.scaling = true; }), ::testing::HasSubstr("--scaling"));
  EXPECT_THAT(message_of([](Options& o) { o.partitions = {parse_partition("st:2,3,8")}; }),
              ::testing::HasSubstr("st:2,3,8"));
}

TEST(SparseSettings, ComeNearTheirDensity) {
  EXPECT_EQ(vsa_setting(0.125, 32).parameters, "top-k 4");
  EXPECT_EQ(vsa_setting(0.01, 32).parameters, "top-k 1");
  EXPECT_EQ(random_setting(0.3, 10).parameters, "tiles 3");
  EXPECT_EQ(bsa_setting(0.25).parameters, "query 0.5 kv 0.5");
  EXPECT_EQ(bsa_setting(0.75).parameters, "query 0.5 kv 1");
  EXPECT_EQ(published_bsa_setting().parameters, "query 0.5 kv 0.1");
  const Partition partition = parse_partition("st:4,4,4");
  EXPECT_EQ(vmoba_setting(0.19, partition, {8, 16, 16}).parameters, "st:4,4,4 top-k 6");
}

TEST(SparseSettings, TheThresholdIsFoundByItsDensity) {
  ThreadPool pool(1);
  const AttentionShape shape{.heads = 2, .tokens = 512, .head_dim = 16, .grid = {8, 8, 8}};
  const AttentionProblem problem(shape, 3, pool);
  const SparseSetting setting = vmoba_threshold_setting(
      0.3, parse_partition("st:2,4,4"), problem.call(nullptr), Impl::kCpuBase, pool);
  SparseCase sparse(problem.call(nullptr), {4, 4, 4}, setting, 0, Impl::kCpuBase, pool);
  sparse.select();
  EXPECT_NEAR(sparse.density(), 0.3, 0.02);
}

TEST(SparseSettings, RandomListsKeepTheSameNumberOfTilesEverywhere) {
  ThreadPool pool(1);
  const AttentionShape shape{.heads = 2, .tokens = 512, .head_dim = 8, .grid = {8, 8, 8}};
  const AttentionProblem problem(shape, 3, pool);
  SparseCase sparse(problem.call(nullptr), {4, 4, 4}, random_setting(0.5, 8), 1, Impl::kCpuBase,
                    pool);
  EXPECT_FALSE(sparse.selects());
  EXPECT_DOUBLE_EQ(sparse.density(), 0.5);
}

TEST(SparseSettings, TheDefaultPartitionIsCoarseButFineEnough) {
  EXPECT_EQ(to_string(*benchmark_partition({8, 16, 16})), "st:4,4,4");  // 32 blocks
  const std::optional<Partition> large = benchmark_partition({16, 32, 32});
  ASSERT_TRUE(large.has_value());
  EXPECT_EQ(partition_blocks(*large, {16, 32, 32}).num_tiles(), 64);  // of 256 tokens
}

TEST(AttentionProblem, IsAFunctionOfItsSeed) {
  ThreadPool one(1), two(2);
  const AttentionShape shape{.heads = 2, .tokens = 64, .head_dim = 8, .grid = {4, 4, 4}};
  const AttentionProblem a(shape, 3, one), b(shape, 3, two), c(shape, 4, one);
  const auto first = [](const AttentionProblem& p) {
    std::vector<double> row(p.q().head_dim);
    load_row(p.q(), 0, 1, 5, row.data());
    return row[3];
  };
  EXPECT_EQ(first(a), first(b));
  EXPECT_NE(first(a), first(c));
}

}  // namespace
}  // namespace sparsescope::testing
