// Ratios and the three forms of a report, on hand-made times.
#include "bench/attention_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <tuple>

namespace sparsescope::testing {
namespace {

using ::testing::HasSubstr;

Distribution times(double median) {
  return {
      .median = median, .min = median / 2, .max = median * 2, .p25 = median, .p75 = median * 1.5};
}

Measurement run_of(const std::string& method, double median, double density = 1) {
  return {.method = method,
          .threads = 2,
          .density = density,
          .flops = 8e9 * density,
          .deviation = 1e-7,
          .bound = 1e-5,
          .seconds = times(median)};
}

// dense 0.10 s, torch 0.12 s, profile 0.11 s, vsa 0.02 s with 0.005 s of selection at density 1/8.
AttentionReport example() {
  AttentionReport report;
  report.machine.cpu = "test processor";
  report.machine.fma_peak_gflops = 100;
  report.machine.bf16_peak_gflops = 200;
  report.shape = {.batch = 1, .heads = 2, .tokens = 64, .head_dim = 16, .grid = {4, 4, 4}};
  report.threads = 2;
  report.runs = {run_of("dense", 0.10), run_of("torch", 0.12), run_of("profile", 0.11),
                 run_of("vsa", 0.02, 0.125)};
  report.runs[3].parameters = "top-k 1";
  report.runs[3].selection = times(0.005);
  return report;
}

TEST(Ratios, AreThoseOfTheContract) {
  const AttentionReport report = example();
  const Ratios dense = ratios_of(report, report.runs[0]);
  EXPECT_DOUBLE_EQ(dense.gflops, 80);
  EXPECT_DOUBLE_EQ(*dense.peak_share, 0.4);  // 80 of 2 * 100
  EXPECT_DOUBLE_EQ(*dense.vs_torch, 1.2);
  EXPECT_FALSE(dense.overhead || dense.efficiency || dense.speedup || dense.selection_share);

  const Ratios torch = ratios_of(report, report.runs[1]);
  EXPECT_DOUBLE_EQ(*torch.vs_torch, 1);
  EXPECT_FALSE(torch.overhead || torch.efficiency || torch.speedup);

  const Ratios profile = ratios_of(report, report.runs[2]);
  EXPECT_DOUBLE_EQ(*profile.overhead, 1.1);
  EXPECT_DOUBLE_EQ(*profile.vs_torch, 0.12 / 0.11);
  EXPECT_FALSE(profile.efficiency || profile.speedup);

  const Ratios vsa = ratios_of(report, report.runs[3]);
  EXPECT_DOUBLE_EQ(vsa.gflops, 50);
  EXPECT_DOUBLE_EQ(*vsa.efficiency, 0.625);  // the kernel alone
  EXPECT_DOUBLE_EQ(*vsa.selection_share, 0.2);
  EXPECT_DOUBLE_EQ(*vsa.speedup, 4);
  EXPECT_DOUBLE_EQ(*vsa.kernel_speedup, 5);
  EXPECT_DOUBLE_EQ(*vsa.vs_torch, 0.12 / 0.025);
  EXPECT_FALSE(vsa.overhead);
}

TEST(Ratios, ProcessorTimeIsThatOfOneCore) {
  AttentionReport report = example();
  report.timing.source = TimeSource::kProcessor;
  EXPECT_DOUBLE_EQ(*ratios_of(report, report.runs[0]).peak_share, 0.8);
}

TEST(Ratios, Bf16InputsMeetTheBf16Peak) {
  AttentionReport report = example();
  report.shape.dtype = Dtype::kBF16;
  EXPECT_DOUBLE_EQ(*ratios_of(report, report.runs[0]).peak_share, 0.2);
  report.machine.bf16_peak_gflops = 0;  // no such instruction: widened to fp32
  EXPECT_DOUBLE_EQ(*ratios_of(report, report.runs[0]).peak_share, 0.4);
}

TEST(Ratios, ComeFromRunsOfTheSamePassCachesAndThreads) {
  AttentionReport report = example();
  for (const auto& [pass, caches, threads] : {std::tuple{Pass::kBackward, CacheState::kWarm, 2},
                                              std::tuple{Pass::kForward, CacheState::kCold, 2},
                                              std::tuple{Pass::kForward, CacheState::kWarm, 1}}) {
    Measurement other = run_of("profile", 0.5);
    other.pass = pass;
    other.caches = caches;
    other.threads = threads;
    const Ratios ratios = ratios_of(report, other);
    EXPECT_FALSE(ratios.overhead || ratios.vs_torch);
  }
}

TEST(Ratios, ScalingComparesDenseWithOneThread) {
  AttentionReport report = example();
  EXPECT_FALSE(ratios_of(report, report.runs[0]).scaling);
  Measurement single = run_of("dense", 0.19);
  single.threads = 1;
  report.runs.push_back(single);
  EXPECT_DOUBLE_EQ(*ratios_of(report, report.runs[0]).scaling, 1.9);
  EXPECT_DOUBLE_EQ(*ratios_of(report, report.runs[0]).vs_torch, 1.2);
  EXPECT_FALSE(ratios_of(report, report.runs.back()).scaling);
  EXPECT_THAT(to_table(report), HasSubstr("dense, 1 thread"));
}

TEST(Report, JsonHoldsTheRunsAndWhatTheyMean) {
  const Json json = to_json(example());
  EXPECT_EQ(json.at("format"), "sparsescope-bench");
  EXPECT_EQ(json.at("version"), 1);
  EXPECT_EQ(json.at("kind"), "attention");
  EXPECT_EQ(json.at("machine").at("cpu"), "test processor");
  EXPECT_EQ(json.at("shape"), Json({1, 2, 64, 16}));
  EXPECT_EQ(json.at("dtype"), "fp32");
  EXPECT_EQ(json.at("time"), "wall");
  ASSERT_EQ(json.at("runs").size(), 4u);
  const Json& dense = json.at("runs")[0];
  EXPECT_DOUBLE_EQ(dense.at("median_ms"), 100);
  EXPECT_DOUBLE_EQ(dense.at("spread"), 0.5);
  EXPECT_EQ(dense.at("checked"), true);
  EXPECT_FALSE(dense.contains("overhead"));
  EXPECT_FALSE(dense.contains("selection"));
  const Json& vsa = json.at("runs")[3];
  EXPECT_EQ(vsa.at("parameters"), "top-k 1");
  EXPECT_DOUBLE_EQ(vsa.at("selection").at("median_ms"), 5);
  EXPECT_DOUBLE_EQ(vsa.at("efficiency"), 0.625);
}

TEST(Report, CsvHasOneWidth) {
  AttentionReport report = example();
  report.runs[3].parameters = "st:4,4,4 top-k 1";
  std::istringstream lines(to_csv(report));
  std::string header, line;
  std::getline(lines, header);
  EXPECT_THAT(header, HasSubstr("method,parameters,pass,cache"));
  const auto columns = std::count(header.begin(), header.end(), ',');
  int64_t rows = 0;
  while (std::getline(lines, line)) {
    ++rows;
    const bool quoted_commas = line.find("st:4,4,4") != std::string::npos;
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), columns + (quoted_commas ? 2 : 0)) << line;
  }
  EXPECT_EQ(rows, 4);
  EXPECT_THAT(to_csv(report), HasSubstr("vsa,\"st:4,4,4 top-k 1\",forward"));
}

TEST(Report, TableNamesEveryRunOnceAndTheMachine) {
  AttentionReport report = example();
  report.notes = {"vmoba: left out"};
  const std::string table = to_table(report);
  EXPECT_THAT(table, HasSubstr("test processor"));
  EXPECT_THAT(table, HasSubstr("vmoba: left out"));
  EXPECT_THAT(table, HasSubstr("vsa top-k 1"));
  EXPECT_THAT(table, HasSubstr("forward, warm caches"));
  EXPECT_EQ(table.find("backward, warm"), std::string::npos);
  EXPECT_EQ(table.find("cold caches"), std::string::npos);
}

}  // namespace
}  // namespace sparsescope::testing
