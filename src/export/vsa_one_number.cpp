#include "export/vsa_one_number.h"

#include <algorithm>

#include "core/error.h"
#include "export/site_values.h"

namespace sparsescope {

void check_tile(const Plan& plan, const TileShape& expected, const std::string& format) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, plan.tile == expected,
                    "{}: expected a plan of tiles {}, found {}", format, to_string(expected),
                    to_string(plan.tile));
}

int64_t plan_tiles(const Plan& plan) { return TileGrid(plan.grid, plan.tile).num_tiles(); }

std::string kept_text(const Plan& plan, int64_t kept) {
  const auto tiles = static_cast<double>(plan_tiles(plan));
  const double padded = static_cast<double>(kept) / tiles;
  // Full tiles of the real tokens: what is kept where no chosen tile is clipped.
  const double real =
      static_cast<double>(kept * plan.tile.volume()) / static_cast<double>(plan.grid.tokens());
  return fmt::format("top-k {} of {} tiles: sparsity {:.4f} of padded slots, {:.4f} of real tokens",
                     kept, tiles, 1.0 - padded, 1.0 - std::min(1.0, real));
}

int64_t one_top_k(const Plan& plan, const std::string& format, ExportDraft& draft) {
  const SiteValues budgets = vsa_budgets(plan, format);
  if (!plan.dense_steps.empty()) {
    draft.changes.push_back(fmt::format("dense steps {}: count as {} tiles",
                                        ranges_text(plan.dense_steps), budgets.dense));
  }
  if (!plan.dense_layers.empty()) {
    draft.changes.push_back(fmt::format("dense layers {}: count as {} tiles",
                                        ranges_text(plan.dense_layers), budgets.dense));
  }
  const auto kept = static_cast<int64_t>(merge_all(budgets, draft.changes));
  draft.remarks.push_back(kept_text(plan, kept));
  if (kept == plan_tiles(plan)) {
    draft.remarks.push_back(
        "nothing is sparse any more: derive the plan with --per model --dense-first-steps 0 "
        "--dense-layers none for this format");
  }
  return kept;
}

void check_video(const std::vector<int64_t>& video, const TokenGrid& grid) {
  const bool fits = video[1] % grid.h == 0 && video[2] % grid.w == 0 &&
                    video[1] / grid.h == video[2] / grid.w &&
                    (grid.t == 1 ? video[0] == 1 : (video[0] - 1) % (grid.t - 1) == 0);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, fits,
                    "--video: expected pixels of the plan's token grid {} (height and width one "
                    "multiple of it, frames a multiple plus one), found {},{},{}",
                    to_string(grid), video[0], video[1], video[2]);
}

}  // namespace sparsescope
