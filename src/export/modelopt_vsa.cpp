// modelopt-vsa: the sparse_cfg of NVIDIA Model-Optimizer, a top-k ratio per layer by glob. As JSON,
// and as a Python file for sparsify(model, SPARSE_CONFIG). K = max(1, int(ratio*N)).
#include <set>

#include "core/error.h"
#include "export/draft_file.h"
#include "export/layer_module.h"
#include "export/python_literal.h"
#include "export/site_values.h"
#include "export/tile_counts.h"
#include "export/vsa_one_number.h"
#include "plan/json_place.h"

namespace sparsescope {
namespace {

const char* const kName = "modelopt-vsa";
const char* const kVariable = "SPARSE_CONFIG";
const char* const kComment =
    "modelopt.torch.sparsity.attention_sparsity.sparsify(model, SPARSE_CONFIG)";

std::string glob_of(const ExportInput& input, int64_t layer) {
  return fmt::format("*{}*", layer_module(input, "blocks.{layer}.attn1", layer, kName));
}

// Dense layers are left out: "default" leaves them alone.
Json sparse_config(const ExportInput& input, const SiteValues& by_layer) {
  const Plan& plan = input.plan;
  Json patterns = Json::object();
  for (int64_t layer = 0; layer < by_layer.layers; ++layer) {
    const auto kept = static_cast<int64_t>(by_layer.at(0, layer, 0));
    if (kept == plan_tiles(plan)) continue;
    patterns[glob_of(input, layer)] = {{"method", "vsa"},
                                       {"block_size_3d", {plan.tile.t, plan.tile.h, plan.tile.w}},
                                       {"top_k_ratio", ratio_for_floor(kept, plan_tiles(plan))},
                                       {"video_shape", {plan.grid.t, plan.grid.h, plan.grid.w}},
                                       {"enable", true}};
  }
  if (input.settings.module.empty()) patterns["*.attn2*"] = {{"enable", false}};
  patterns["default"] = {{"enable", false}};
  return {{"sparse_cfg", patterns}};
}

// Tiles kept by the pattern of each layer; all where it has none. Strict: one pattern a layer, no
// others but the two that switch off.
std::vector<int64_t> read_tiles(const Json& json, const std::string& what,
                                const std::vector<std::string>& globs, const Plan& plan) {
  const JsonPlace root(json, what);
  root.check_keys({"sparse_cfg"});
  std::set<std::string> expected(globs.begin(), globs.end());
  expected.insert({"*.attn2*", "default"});
  for (const auto& [key, value] : json.at("sparse_cfg").items()) {
    SPARSESCOPE_CHECK(ErrorKind::kData, expected.contains(key),
                      "{}: /sparse_cfg/{}: expected the pattern of a layer", what, key);
  }
  std::vector<int64_t> tiles;
  for (const std::string& glob : globs) {
    const std::optional<JsonPlace> place = root.at("sparse_cfg").find(glob);
    tiles.push_back(plan_tiles(plan));
    if (!place) continue;
    place->check_keys({"method", "block_size_3d", "top_k_ratio", "video_shape", "enable"});
    if (place->at("method").text() != "vsa") place->at("method").fail_expected("vsa");
    if (!place->at("enable").boolean()) place->at("enable").fail_expected("true");
    const auto [bt, bh, bw] = place->at("block_size_3d").triple(1, kMaxExtent);
    const auto [t, h, w] = place->at("video_shape").triple(1, kMaxExtent);
    tiles.back() = kept_by_floor(place->at("top_k_ratio").number(0, 1),
                                 TileGrid({t, h, w}, {bt, bh, bw}).num_tiles());
  }
  return tiles;
}

}  // namespace

ExportDraft draft_modelopt_vsa(const ExportInput& input) {
  ExportDraft draft;
  const Plan& plan = input.plan;
  SiteValues by_layer = vsa_budgets(plan, kName);
  if (!plan.dense_steps.empty()) {
    draft.changes.push_back(fmt::format("dense steps {}: count as {} tiles",
                                        ranges_text(plan.dense_steps), plan_tiles(plan)));
  }
  for (const SiteAxis axis : {SiteAxis::kHeads, SiteAxis::kSteps}) {
    by_layer = merge_axis(by_layer, axis, draft.changes);
  }
  std::vector<std::string> globs;
  std::vector<int64_t> kept;
  for (int64_t layer = 0; layer < plan.model.layers; ++layer) {
    globs.push_back(glob_of(input, layer));
    kept.push_back(static_cast<int64_t>(by_layer.at(0, layer, 0)));
  }
  draft.remarks.push_back(
      "the coarse branch is added with a gate of 1: Model-Optimizer does not pass the model's");

  const Json json = sparse_config(input, by_layer);
  const auto check = [=](const Json& read, const std::string& what) {
    SPARSESCOPE_ASSERT(read_tiles(read, what, globs, plan) == kept);
  };
  draft.files.push_back(json_file(input.out, json, check));
  draft.files.push_back(text_file(companion(input.out, ".py"), to_python(json, kVariable, kComment),
                                  [=](const std::string& text, const std::string& what) {
                                    check(parse_python(text, kVariable, what), what);
                                  }));
  return draft;
}

}  // namespace sparsescope
