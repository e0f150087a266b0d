// svoo: per step, layer and head the least share of the keys that covers 0.95 of a row's mass, as
// SVOO's offline profile gives it. Profiles of version 1 count no tokens, so the share comes from
// the tile-level coverage_row: whole tiles, chosen per row, mean over rows; the largest over
// prompts and guidance branches. Of the plan it takes the dense sites.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "derive/method_curves.h"
#include "export/draft_file.h"
#include "export/site_values.h"
#include "export/svoo_csv.h"
#include "export/vsa_one_number.h"

namespace sparsescope {
namespace {

constexpr double kCovered = 0.95;  // of a row's mass, by SVOO's definition

class CoverageRows {
 public:
  explicit CoverageRows(const Profile& profile)
      : profile_(profile), tiles_(TileGrid(profile.grid, profile.tile).num_tiles()) {
    SPARSESCOPE_CHECK(ErrorKind::kData, profile.arrays.contains("coverage_row"),
                      "svoo: expected the statistic coverage_row in the profile");
  }

  // The least kept fraction on the line between measured ones. The curve is concave, so the line
  // lies below it and the fraction is never too small.
  double kept_fraction(const ProfileSite& site) const {
    const std::vector<double>& fractions = fraction_grid();
    const auto coverage = site_values(profile_, "coverage_row", site, fractions.size());
    const double text = text_mass(profile_, site);
    std::vector<double> knots = {0.0}, covered = {text};
    for (size_t i = 0; i < fractions.size(); ++i) {
      const double kept =
          static_cast<double>(kept_count(fractions[i], tiles_)) / static_cast<double>(tiles_);
      if (kept == knots.back()) continue;
      knots.push_back(kept);
      covered.push_back(text + static_cast<double>(coverage[i]));
    }
    return first_reaching(knots, covered, kCovered);
  }

  // The largest over prompts and branches.
  double largest(int64_t step, int64_t layer, int64_t head) const {
    double result = -1;
    for (int64_t prompt = 0; prompt < profile_.prompts; ++prompt) {
      for (int64_t branch = 0; branch < profile_.branches; ++branch) {
        if (!profile_.is_recorded(prompt, branch, step, layer)) continue;
        result = std::max(result, kept_fraction({prompt, branch, step, layer, head}));
      }
    }
    SPARSESCOPE_CHECK(
        ErrorKind::kData, result >= 0,
        "svoo: the profile recorded nothing at step {}, layer {}, which the file must "
        "hold",
        step, layer);
    return result;
  }

 private:
  const Profile& profile_;
  int64_t tiles_;
};

}  // namespace

ExportDraft draft_svoo(const ExportInput& input) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, input.profile != nullptr,
                    "svoo: the coverage of key tiles stands in the profile; --profile names it");
  const Plan& plan = input.plan;
  const PlanSites sites(plan);
  const CoverageRows coverage(*input.profile);
  SvooTable table{plan.num_steps, plan.model.layers, plan.model.heads, {}};
  int64_t dense = 0, tighter = 0;
  for (int64_t step = 0; step < table.steps; ++step) {
    for (int64_t layer = 0; layer < table.layers; ++layer) {
      for (int64_t head = 0; head < table.heads; ++head) {
        const MethodParams* params = sites.at(step, layer, head);
        table.kept.push_back(params ? coverage.largest(step, layer, head) : 1.0);
        dense += params == nullptr;
        const VsaParams* vsa = params ? std::get_if<VsaParams>(params) : nullptr;
        if (vsa != nullptr) check_pooled(*vsa, "svoo");
        tighter += vsa && static_cast<double>(vsa->top_k) <
                              table.kept.back() * static_cast<double>(plan_tiles(plan));
      }
    }
  }
  ExportDraft draft;
  draft.remarks = {
      "kept fractions are tile-level, from coverage_row, not token counts; the largest over "
      "prompts "
      "and guidance branches",
      fmt::format("{} of {} sites are dense: 1.0000", dense, table.kept.size())};
  if (tighter > 0) {
    draft.remarks.push_back(
        fmt::format("the plan's own top-k is not in the file; at {} sites it keeps less than the "
                    "file's minimum",
                    tighter));
  }
  draft.files.push_back(text_file(
      input.out, to_svoo_csv(table), [=](const std::string& text, const std::string& what) {
        const SvooTable read = parse_svoo_csv(text, what);
        SPARSESCOPE_ASSERT(read.steps == table.steps && read.layers == table.layers &&
                           read.heads == table.heads);
        for (size_t site = 0; site < read.kept.size(); ++site) {
          const double rounded_up = read.kept[site] - table.kept[site];
          SPARSESCOPE_ASSERT(rounded_up > -1e-9 && rounded_up < 1e-4);
        }
      }));
  return draft;
}

}  // namespace sparsescope
