// sglang-vsa and sglang-cube: JSON for --attention-backend-config of SGLang.
#include "core/error.h"
#include "export/draft_file.h"
#include "export/site_values.h"
#include "export/tile_counts.h"
#include "export/vsa_one_number.h"
#include "plan/json_place.h"

namespace sparsescope {
namespace {

// A per-step list, one ratio per denoising update; 1.0 is SGLang's own dense path.
std::vector<double> read_cube_list(const Json& json, const std::string& what,
                                   const TileShape& tile) {
  const JsonPlace root(json, what);
  root.check_keys({"local_cube_size", "topk_ratio_list"});
  const auto [t, h, w] = root.at("local_cube_size").triple(1, kMaxExtent);
  if (TileShape{t, h, w} != tile) root.at("local_cube_size").fail_expected(to_string(tile));
  std::vector<double> ratios;
  for (const JsonPlace& item : root.at("topk_ratio_list").items()) {
    ratios.push_back(item.number(0, 1));
    if (ratios.back() == 0) item.fail_expected("a ratio above 0");
  }
  return ratios;
}

}  // namespace

ExportDraft draft_sglang_vsa(const ExportInput& input) {
  ExportDraft draft;
  const int64_t kept = one_top_k(input.plan, "sglang-vsa", draft);
  check_tile(input.plan, {4, 4, 4}, "sglang-vsa");
  const int64_t tiles = plan_tiles(input.plan);
  draft.remarks.push_back(
      "sglang generate --attention-backend video_sparse_attn --attention-backend-config THIS_FILE");
  draft.files.push_back(
      json_file(input.out, {{"sparsity", dropped_for_ceil(kept, tiles)}},
                [=](const Json& json, const std::string& what) {
                  const JsonPlace root(json, what);
                  root.check_keys({"sparsity"});
                  SPARSESCOPE_ASSERT(kept_by_ceil(root.at("sparsity").number(0, 1), tiles) == kept);
                }));
  return draft;
}

ExportDraft draft_sglang_cube(const ExportInput& input) {
  ExportDraft draft;
  const Plan& plan = input.plan;
  const int64_t tiles = plan_tiles(plan);
  SiteValues budgets = vsa_budgets(plan, "sglang-cube");
  if (!plan.dense_layers.empty()) {
    draft.changes.push_back(
        fmt::format("dense layers {}: count as {} tiles", ranges_text(plan.dense_layers), tiles));
  }
  for (const SiteAxis axis : {SiteAxis::kHeads, SiteAxis::kLayers}) {
    budgets = merge_axis(budgets, axis, draft.changes);
  }
  std::vector<double> ratios;
  for (const double kept : budgets.values) {
    ratios.push_back(ratio_for_floor(static_cast<int64_t>(kept), tiles));
  }
  draft.remarks.push_back(fmt::format(
      "{} updates: MiniMax-H3's num_inference_steps is {}, its schedule includes both ends",
      plan.num_steps, plan.num_steps + 1));
  if (plan.model.family == "wan") {
    draft.remarks.push_back("this back end runs MiniMax-H3 alone; the plan is for wan");
  }
  const Json json = {{"local_cube_size", {plan.tile.t, plan.tile.h, plan.tile.w}},
                     {"topk_ratio_list", ratios}};
  draft.files.push_back(json_file(
      input.out, json, [=, tile = plan.tile](const Json& written, const std::string& what) {
        const std::vector<double> read = read_cube_list(written, what, tile);
        SPARSESCOPE_ASSERT(read.size() == budgets.values.size());
        for (size_t step = 0; step < read.size(); ++step) {
          SPARSESCOPE_ASSERT(kept_by_floor_f32(read[step], tiles) ==
                             static_cast<int64_t>(budgets.values[step]));
        }
      }));
  return draft;
}

}  // namespace sparsescope
