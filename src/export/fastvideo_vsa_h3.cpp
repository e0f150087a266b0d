// fastvideo-vsa-h3: FastVideo's VSA for MiniMax-H3. Beside the one number it knows dense first
// steps and dense layers; these are arguments of generate_video(...), so a Python file goes with
// the flags.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "export/draft_file.h"
#include "export/python_literal.h"
#include "export/site_values.h"
#include "export/tile_counts.h"
#include "export/vsa_one_number.h"
#include "plan/json_place.h"

namespace sparsescope {
namespace {

const char* const kName = "fastvideo-vsa-h3";
const char* const kHead =
    "# environment, then flags of FastVideo\n"
    "FASTVIDEO_ATTENTION_BACKEND=VIDEO_SPARSE_ATTN_H3\n";
const char* const kVariable = "VSA_ARGUMENTS";

struct H3Settings {
  double sparsity = 0;
  int64_t tile_size = 64;  // 64: 4,4,4; 256: 4,8,8
  int64_t dense_steps = 0;
  std::vector<int64_t> dense_layers;
  bool operator==(const H3Settings&) const = default;
};

int64_t tile_size_of(const Plan& plan) {
  if (plan.tile == TileShape{4, 4, 4}) return 64;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, (plan.tile == TileShape{4, 8, 8}),
                    "{}: expected a plan of tiles 4,4,4 or 4,8,8, found {}", kName,
                    to_string(plan.tile));
  return 256;
}

std::string flags_text(const H3Settings& settings) {
  return fmt::format("{}--VSA-sparsity {}\n--VSA-tile-size {}\n", kHead,
                     Json(settings.sparsity).dump(), settings.tile_size);
}

std::string arguments_text(const H3Settings& settings) {
  // exempt: text and conditions are always kept, as in the plan
  return to_python({{"vsa_mode", "exempt"},
                    {"vsa_dense_first_n_steps", settings.dense_steps},
                    {"vsa_dense_layers", settings.dense_layers}},
                   kVariable, "generator.generate_video(prompt, **VSA_ARGUMENTS)");
}

// The number behind a flag; Error(kData) where the text does not go on with it.
Json take_flag(std::string_view& text, std::string_view flag, const std::string& what) {
  SPARSESCOPE_CHECK(ErrorKind::kData, text.starts_with(flag), "{}: expected '{}', found '{}'", what,
                    flag, text.substr(0, 40));
  const size_t end = std::min(text.find('\n'), text.size());
  const Json value = parse_json(text.substr(flag.size(), end - flag.size()), what);
  text.remove_prefix(std::min(end + 1, text.size()));
  return value;
}

H3Settings read_flags(std::string_view text, const std::string& what) {
  SPARSESCOPE_CHECK(ErrorKind::kData, text.starts_with(kHead), "{}: expected '{}' first", what,
                    kHead);
  text.remove_prefix(std::string_view(kHead).size());
  const Json sparsity = take_flag(text, "--VSA-sparsity ", what);
  const Json tile_size = take_flag(text, "--VSA-tile-size ", what);
  SPARSESCOPE_CHECK(ErrorKind::kData, text.empty(), "{}: expected no further line", what);
  H3Settings settings;
  settings.sparsity = JsonPlace(sparsity, what, "--VSA-sparsity").number(0, 1);
  settings.tile_size = JsonPlace(tile_size, what, "--VSA-tile-size").integer(64, 256);
  return settings;
}

void read_arguments(const std::string& text, const std::string& what, H3Settings& settings) {
  const Json json = parse_python(text, kVariable, what);
  const JsonPlace root(json, what);
  root.check_keys({"vsa_mode", "vsa_dense_first_n_steps", "vsa_dense_layers"});
  if (root.at("vsa_mode").text() != "exempt") root.at("vsa_mode").fail_expected("exempt");
  settings.dense_steps = root.at("vsa_dense_first_n_steps").integer(0, kMaxExtent);
  settings.dense_layers.clear();
  for (const JsonPlace& layer : root.at("vsa_dense_layers").items()) {
    settings.dense_layers.push_back(layer.integer(0, kMaxExtent));
  }
}

bool layer_is_dense(const SiteValues& values, int64_t first_step, int64_t layer) {
  for (int64_t step = first_step; step < values.steps; ++step) {
    if (values.at(step, layer, 0) != values.dense) return false;
  }
  return true;
}

}  // namespace

ExportDraft draft_fastvideo_vsa_h3(const ExportInput& input) {
  ExportDraft draft;
  const Plan& plan = input.plan;
  SiteValues budgets = merge_axis(vsa_budgets(plan, kName), SiteAxis::kHeads, draft.changes);
  H3Settings settings;
  settings.tile_size = tile_size_of(plan);
  settings.dense_steps = PlanSites(plan).dense_prefix();
  for (int64_t layer = 0; layer < budgets.layers; ++layer) {
    if (layer_is_dense(budgets, settings.dense_steps, layer) &&
        settings.dense_steps < budgets.steps) {
      settings.dense_layers.push_back(layer);
    }
  }
  // What the two lists name need not be in the number.
  for (int64_t step = 0; step < budgets.steps; ++step) {
    for (int64_t layer = 0; layer < budgets.layers; ++layer) {
      const auto& dense = settings.dense_layers;
      if (step < settings.dense_steps ||
          std::find(dense.begin(), dense.end(), layer) != dense.end()) {
        budgets.at(step, layer, 0) = std::nan("");
      }
    }
  }
  const double largest = merge_all(budgets, draft.changes);
  const int64_t tiles = plan_tiles(plan);
  const int64_t kept = std::isnan(largest) ? tiles : static_cast<int64_t>(largest);
  settings.sparsity = dropped_for_ceil(kept, tiles);
  draft.remarks.push_back(kept_text(plan, kept));
  if (plan.model.family == "wan") {
    draft.remarks.push_back("this back end runs MiniMax-H3 alone; the plan is for wan");
  }

  draft.files.push_back(text_file(
      input.out, flags_text(settings), [=](const std::string& text, const std::string& what) {
        const H3Settings read = read_flags(text, what);
        SPARSESCOPE_ASSERT(kept_by_ceil(read.sparsity, tiles) == kept &&
                           read.tile_size == settings.tile_size && text == flags_text(settings));
      }));
  draft.files.push_back(text_file(companion(input.out, ".py"), arguments_text(settings),
                                  [=](const std::string& text, const std::string& what) {
                                    H3Settings read = settings;
                                    read_arguments(text, what, read);
                                    SPARSESCOPE_ASSERT(read == settings);
                                  }));
  return draft;
}

}  // namespace sparsescope
