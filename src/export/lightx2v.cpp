// lightx2v: the attention keys of a LightX2V run configuration, and the run keys that the plan
// knows. Its blocks are runs of 128 raster tokens, not 3-D tiles: the kept fraction carries over
// (rounded up), the recall does not. Kept blocks: max(1, min(K, int((1 - s)*K))), K = ceil(S/128).
#include <cmath>

#include "core/error.h"
#include "export/draft_file.h"
#include "export/tile_counts.h"
#include "export/vsa_one_number.h"
#include "plan/json_place.h"
#include "plan/plan_evidence.h"

namespace sparsescope {
namespace {

constexpr int64_t kBlock = 128;  // tokens, of sla_triton_operator

Json run_configuration(const ExportInput& input, double sparsity) {
  Json json = {{"infer_steps", input.plan.num_steps}};
  if (const std::vector<int64_t>& video = input.settings.video; !video.empty()) {
    check_video(video, input.plan.grid);
    json["target_video_length"] = video[0];
    json["target_height"] = video[1];
    json["target_width"] = video[2];
  }
  json["self_attn_1_type"] = "general_sparse_attn";
  json["general_sparse_attn_setting"] = {{"sparse_mask_generator", "sla_mask_generator"},
                                         {"sparse_setting", {{"sparsity_ratio", sparsity}}},
                                         {"sparse_operator", "sla_triton_operator"}};
  if (const auto sampling = profile_evidence(input.plan).sampling) {
    json["sample_guide_scale"] = sampling->guidance;
    json["sample_shift"] = sampling->shift;
    json["enable_cfg"] = sampling->guidance > 1;
  }
  return json;
}

double read_sparsity(const Json& json, const std::string& what) {
  const JsonPlace root(json, what);
  root.check_keys({"infer_steps", "self_attn_1_type", "general_sparse_attn_setting"},
                  {"target_video_length", "target_height", "target_width", "sample_guide_scale",
                   "sample_shift", "enable_cfg"});
  const auto expect = [](const JsonPlace& place, const char* text) {
    if (place.text() != text) place.fail_expected(text);
  };
  expect(root.at("self_attn_1_type"), "general_sparse_attn");
  const JsonPlace setting = root.at("general_sparse_attn_setting");
  setting.check_keys({"sparse_mask_generator", "sparse_setting", "sparse_operator"});
  expect(setting.at("sparse_mask_generator"), "sla_mask_generator");
  expect(setting.at("sparse_operator"), "sla_triton_operator");
  setting.at("sparse_setting").check_keys({"sparsity_ratio"});
  return setting.at("sparse_setting").at("sparsity_ratio").number(0, 1);
}

}  // namespace

ExportDraft draft_lightx2v(const ExportInput& input) {
  ExportDraft draft;
  const Plan& plan = input.plan;
  const int64_t kept_tiles = one_top_k(plan, "lightx2v", draft);
  const int64_t blocks = (plan.grid.tokens() + kBlock - 1) / kBlock;
  // ceil(kept / N of the blocks) in whole numbers
  const int64_t tiles = plan_tiles(plan);
  const int64_t kept = (kept_tiles * blocks + tiles - 1) / tiles;
  draft.remarks.push_back(fmt::format(
      "{} of {} runs of {} raster tokens: the recall of this geometry is unknown, the plan's does "
      "not carry over",
      kept, blocks, kBlock));
  if (input.settings.video.empty()) {
    draft.remarks.push_back("the video's size is left out: --video gives it");
  }
  draft.files.push_back(json_file(
      input.out, run_configuration(input, dropped_for_floor(kept, blocks)),
      [=](const Json& json, const std::string& what) {
        SPARSESCOPE_ASSERT(kept_by_floor_of_dropped(read_sparsity(json, what), blocks) == kept);
      }));
  return draft;
}

}  // namespace sparsescope
