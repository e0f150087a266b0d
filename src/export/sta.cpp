// sta: the mask strategy of sliding tile attention. Windows are fixed, so each (step, layer, head)
// takes the smallest legal window whose recall on the profile's maps reaches the recall that the
// plan has there, in every guidance branch, prompts averaged.
#include <algorithm>

#include "core/error.h"
#include "derive/method_curves.h"
#include "export/draft_file.h"
#include "export/site_values.h"
#include "export/sta_windows.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

class WindowChoice {
 public:
  WindowChoice(const Profile& profile, const Plan& plan, const StaGrid& grid)
      : profile_(profile),
        grid_(grid),
        curves_(make_method_curves(profile, plan.method, /*all_heads=*/true)) {}

  TileShape smallest(int64_t step, int64_t layer, int64_t head, const MethodParams& params) const {
    std::vector<Branch> branches;
    for (int64_t branch = 0; branch < profile_.branches; ++branch) {
      const Branch found = branch_of({0, branch, step, layer, head}, params);
      if (!found.maps.empty()) branches.push_back(found);
    }
    SPARSESCOPE_CHECK(ErrorKind::kData, !branches.empty(),
                      "sta: the profile recorded nothing at step {}, layer {}, which the file must "
                      "hold",
                      step, layer);
    const auto reaches = [&](const TileShape& window) {
      return std::all_of(branches.begin(), branches.end(), [&](const Branch& branch) {
        double mass = branch.text_mass;
        for (const float* map : branch.maps) {
          mass += window_mass(map, grid_.tiles(), window) / static_cast<double>(branch.maps.size());
        }
        return mass >= branch.recall - kRecallSlack;
      });
    };
    const auto found = std::find_if(grid_.windows.begin(), grid_.windows.end(), reaches);
    return found == grid_.windows.end() ? grid_.windows.back() : *found;
  }

 private:
  struct Branch {
    double recall = 0, text_mass = 0;  // means over prompts
    std::vector<const float*> maps;    // one per recorded prompt, [N, N]
  };

  Branch branch_of(ProfileSite site, const MethodParams& params) const {
    Branch result;
    std::vector<double> sample(curves_->sample_size());
    for (site.prompt = 0; site.prompt < profile_.prompts; ++site.prompt) {
      if (!profile_.is_recorded(site.prompt, site.branch, site.step, site.layer)) continue;
      result.maps.push_back(map_of(site));
      curves_->read_sample(site, sample);
      result.recall += curves_->evaluate(sample, params).recall;
      result.text_mass += text_mass(profile_, site);
    }
    const auto prompts = static_cast<double>(std::max<size_t>(1, result.maps.size()));
    result.recall /= prompts;
    result.text_mass /= prompts;
    SPARSESCOPE_CHECK(
        ErrorKind::kUsage, (result.text_mass > 0) == grid_.with_text || result.maps.empty(),
        "sta: the grid {} runs {} text alone, the profile has {}", to_string(grid_.grid),
        grid_.with_text ? "with" : "without", result.text_mass > 0 ? "some" : "none");
    return result;
  }

  const float* map_of(const ProfileSite& site) const {
    const std::string name = map_name(site.prompt, site.branch, site.step, site.layer);
    const auto found = profile_.maps.find(name);
    SPARSESCOPE_CHECK(ErrorKind::kData, found != profile_.maps.end(),
                      "sta: expected the map {} in the profile: profile --maps \"step=* layer=* "
                      "head=*\" keeps all",
                      name);
    const int64_t n = grid_.tiles().tokens();
    return found->second.data() + site.head * n * n;
  }

  const Profile& profile_;
  const StaGrid& grid_;
  std::unique_ptr<MethodCurves> curves_;
};

}  // namespace

ExportDraft draft_sta(const ExportInput& input) {
  const Plan& plan = input.plan;
  const StaGrid& grid = find_sta_grid(plan.grid);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, input.profile != nullptr,
                    "sta: windows are chosen on the profile's maps; --profile names it");
  SPARSESCOPE_CHECK(ErrorKind::kUsage, input.profile->tile == kStaTile,
                    "sta: expected a profile of tiles {}, found {}", to_string(kStaTile),
                    to_string(input.profile->tile));
  const PlanSites sites(plan);
  const WindowChoice choice(*input.profile, plan, grid);
  StaStrategy strategy{plan.num_steps, plan.model.layers, plan.model.heads, {}};
  double kept = 0;
  for (int64_t step = 0; step < strategy.steps; ++step) {
    for (int64_t layer = 0; layer < strategy.layers; ++layer) {
      for (int64_t head = 0; head < strategy.heads; ++head) {
        const MethodParams* params = sites.at(step, layer, head);
        strategy.windows.push_back(params ? choice.smallest(step, layer, head, *params)
                                          : grid.windows.back());
        kept += static_cast<double>(strategy.windows.back().volume());
      }
    }
  }
  ExportDraft draft;
  draft.remarks = {fmt::format("sparsity {:.4f}: 1 - sum of the windows over the full ones",
                               1.0 - kept / static_cast<double>(strategy.windows.size()) /
                                         static_cast<double>(grid.windows.back().volume())),
                   "fixed windows: the plan's dynamic selection is replaced, at no less recall on "
                   "the profile"};
  draft.files.push_back(text_file(
      input.out, to_sta_json(strategy),
      [strategy, grid](const std::string& text, const std::string& what) {
        const StaStrategy read =
            parse_sta_json(text, strategy.steps, strategy.layers, strategy.heads, grid, what);
        SPARSESCOPE_ASSERT(read.windows == strategy.windows);
      }));
  return draft;
}

}  // namespace sparsescope
