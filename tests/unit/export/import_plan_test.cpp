#include "export/import_plan.h"

#include <gmock/gmock.h>

#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "unit/export/export_test_support.h"

namespace sparsescope::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kWan448 = R"({
  "temporal_chunk_size": 2, "temporal_topk": 2, "spatial_chunk_size": [4, 13], "spatial_topk": 6,
  "st_chunk_size": [4, 4, 13], "st_topk": 18, "moba_select_mode": "topk", "moba_threshold": 0.25,
  "moba_threshold_type": "query_head", "first_full_layer": 2, "first_full_step": 12,
  "temporal_layer": 1, "spatial_layer": 1, "st_layer": 1})";

ImportRequest vmoba_request(const TempDir& folder, const std::string& text) {
  return {.file = folder.write("vmoba.json", text),
          .from = "fastvideo-vmoba",
          .model = {"captured", 30, 12, 128, ""},
          .grid = {20, 28, 52},
          .tile = {4, 4, 4},
          .steps = 50};
}

const VmobaParams& params_at(const Plan& plan, int64_t layer) {
  return std::get<VmobaParams>(plan.rule_for(0, layer, 0)->params);
}

std::vector<std::string> remarks_of(const Plan& plan) {
  return plan.evidence.at("imported").at("remarks");
}

TEST(ImportVmoba, FirstFullLayerOnlyShiftsThePhase) {
  const TempDir folder;
  const Plan plan = import_plan(vmoba_request(folder, kWan448));
  EXPECT_EQ(plan.method, Method::kVmoba);
  EXPECT_TRUE(plan.dense_steps.empty() && plan.dense_layers.empty());
  // (layer - 2) mod 3: layer 0 is 2D, 1 is 3D, 2 is 1D
  EXPECT_EQ(to_string(params_at(plan, 0).partition), "spatial:4,13");
  EXPECT_EQ(params_at(plan, 0).top_k, 6);
  EXPECT_EQ(to_string(params_at(plan, 1).partition), "st:4,4,13");
  EXPECT_EQ(params_at(plan, 1).top_k, 18);
  EXPECT_EQ(to_string(params_at(plan, 2).partition), "temporal:2");
  EXPECT_EQ(params_at(plan, 29).top_k, 2);
  EXPECT_THAT(remarks_of(plan), Contains(HasSubstr("first_full_step 12")));
  EXPECT_EQ(plan.evidence.at("imported").at("settings"), parse_json(kWan448, "expected"));
}

TEST(ImportVmoba, DenseBelowTheFirstFullOnesOnRequest) {
  const TempDir folder;
  ImportRequest request = vmoba_request(folder, kWan448);
  request.honour_first_full = true;
  const Plan plan = import_plan(request);
  EXPECT_EQ(plan.dense_steps.size(), 12u);
  EXPECT_THAT(plan.dense_layers, ElementsAre(0, 1));
}

TEST(ImportVmoba, WhatThePublicCodeDoesOtherwiseIsNoted) {
  const TempDir folder;
  Json json = parse_json(kWan448, "file");
  json["temporal_topk"] = 1;
  json["spatial_topk"] = 99;
  const Plan plan = import_plan(vmoba_request(folder, json.dump()));
  EXPECT_EQ(params_at(plan, 2).top_k, 1);
  EXPECT_EQ(params_at(plan, 0).top_k, 28);
  EXPECT_THAT(remarks_of(plan), Contains(HasSubstr("top-k 1 of temporal:2")));
  EXPECT_THAT(remarks_of(plan), Contains(HasSubstr("top-k 99 clamped to the 28 blocks")));
}

TEST(ImportVmoba, ExportsToTheSameSettings) {
  const TempDir folder;
  const Plan plan = import_plan(vmoba_request(folder, kWan448));
  Json json = parse_json(export_plan("fastvideo-vmoba", plan).texts.front(), "out");
  Json expected = parse_json(kWan448, "expected");
  expected["first_full_step"] = 0;  // no step of the plan is dense
  EXPECT_EQ(json.at("moba_config"), expected);
}

TEST(ImportVmoba, RefusesAGridThatDoesNotDivideAndMissingOptions) {
  const TempDir folder;
  const ImportRequest request = vmoba_request(folder, kWan448);
  const auto refused = [&](const std::function<void(ImportRequest&)>& change) {
    ImportRequest changed = request;
    change(changed);
    return error_of(ErrorKind::kUsage, [&] { import_plan(changed); });
  };
  EXPECT_THAT(refused([](ImportRequest& r) { r.grid = {21, 28, 52}; }), HasSubstr("21"));
  EXPECT_THAT(refused([](ImportRequest& r) { r.grid = {}; }), HasSubstr("--grid"));
  EXPECT_THAT(refused([](ImportRequest& r) { r.steps = 0; }), HasSubstr("--steps"));
  EXPECT_THAT(refused([](ImportRequest& r) { r.model.layers = 0; }), HasSubstr("--layers"));
  EXPECT_THAT(refused([](ImportRequest& r) { r.model.head_dim = 0; }), HasSubstr("--head-dim"));
  EXPECT_THAT(refused([](ImportRequest& r) { r.from = "sta"; }), HasSubstr("expected plan, fastvideo"));
}

TEST(ImportSvoo, KeptFractionsBecomeTopK) {
  const TempDir folder;
  ImportRequest request{.file = folder.write("x.csv",
                                             "Step,Layer,Head,Sparsity\r\n1,0,0,0.2500\r\n"
                                             "1,0,1,0.2501\r\n2,0,0,0.0000\r\n2,0,1,1.0000\r\n"),
                        .from = "svoo",
                        .model = {"captured", 0, 0, 64, ""},
                        .grid = {4, 16, 16},  // 16 tiles
                        .tile = {4, 4, 4}};
  const Plan plan = import_plan(request);
  EXPECT_EQ(plan.num_steps, 2);
  EXPECT_EQ(plan.model.layers, 1);
  EXPECT_EQ(plan.model.heads, 2);
  const auto top_k = [&](int64_t step, int64_t head) {
    return std::get<VsaParams>(plan.rule_for(step, 0, head)->params).top_k;
  };
  EXPECT_EQ(top_k(0, 0), 4);
  EXPECT_EQ(top_k(0, 1), 5);  // ceil(0.2501 * 16)
  EXPECT_EQ(top_k(1, 0), 1);
  EXPECT_EQ(top_k(1, 1), 16);
  request.model.heads = 3;
  EXPECT_THAT(error_of(ErrorKind::kData, [&] { import_plan(request); }),
              HasSubstr("expected 3 heads, found 2"));
}

TEST(ImportPlan, OneOfOursIsCarriedOverToAnotherGrid) {
  const TempDir folder;
  Plan plan;
  plan.model = {"wan", 1, 2, 64, "abc"};
  plan.grid = {4, 16, 16};  // 16 tiles
  plan.tile = {4, 4, 4};
  plan.num_steps = 2;
  plan.method = Method::kVsa;
  plan.rules = {{{0, 1}, {0, 0}, {0, 1}, VsaParams{4}}};
  write_plan(folder / "plan.json", plan, false);
  ImportRequest request{.file = folder / "plan.json", .from = "plan"};
  request.grid = {8, 16, 16};
  request.steps = 4;
  const Plan carried = import_plan(request);
  EXPECT_EQ(carried.grid, request.grid);
  EXPECT_EQ(std::get<VsaParams>(carried.rule_for(3, 0, 1)->params).top_k, 8);
  EXPECT_EQ(carried.evidence.at("imported").at("remarks").size(), 1u);
  request.model.layers = 2;
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { import_plan(request); }), HasSubstr("--model"));
}

TEST(DescribePlanModel, OfACheckpoint) {
  const Plan::Model model = describe_plan_model(SPARSESCOPE_DATA "/tiny-wan");
  EXPECT_EQ(model.family, "wan");
  EXPECT_EQ(model.layers, 8);
  EXPECT_EQ(model.heads, 3);
  EXPECT_EQ(model.checkpoint_hash.size(), 64u);
}

}  // namespace
}  // namespace sparsescope::testing
