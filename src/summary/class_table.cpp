#include "summary/class_table.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "summary/site_numbers.h"

namespace sparsescope {
namespace {

class Classifier {
 public:
  Classifier(const Profile& profile, double budget)
      : profile_(profile), tiles_(profile.grid, profile.tile), budget_(budget) {
    for (const char* name : {"offset_mass", "key_mass"}) {
      const int64_t found = profile.trailing(name);
      SPARSESCOPE_CHECK(ErrorKind::kData, found == tiles_.num_tiles(),
                        "profile: {}: expected {} values for each head, one a tile, found {}", name,
                        tiles_.num_tiles(), found);
    }
  }

  // By the means over the range's sites of the prompts; nothing where none was recorded.
  std::optional<HeadClassification> classify(const std::vector<int64_t>& prompts,
                                             const SiteRange& range) const {
    const std::vector<float> offsets = means("offset_mass", prompts, range),
                             keys = means("key_mass", prompts, range);
    if (offsets.empty() || keys.empty()) return std::nullopt;
    return classify_head(tiles_, offsets, keys, budget_);
  }

 private:
  std::vector<float> means(const char* name, const std::vector<int64_t>& prompts,
                           const SiteRange& range) const {
    const std::vector<double> values = mean_values(profile_, name, prompts, range);
    return {values.begin(), values.end()};
  }

  const Profile& profile_;
  TileGrid tiles_;
  double budget_;
};

// [prompts] of one head
using ClassesByPrompt = std::vector<std::optional<HeadClass>>;

ClassesByPrompt by_prompt(const Classifier& classifier, const std::vector<int64_t>& prompts,
                          const SiteRange& range) {
  ClassesByPrompt classes;
  for (const int64_t prompt : prompts) {
    const auto found = classifier.classify({prompt}, range);
    classes.push_back(found ? std::optional(found->head_class) : std::nullopt);
  }
  return classes;
}

ClassShares shares_of(const std::vector<ClassesByPrompt>& heads, size_t prompts,
                      double confidence) {
  std::array<std::vector<double>, kNumHeadClasses> shares;
  for (size_t prompt = 0; prompt < prompts; ++prompt) {
    std::vector<HeadClass> known;
    for (const ClassesByPrompt& head : heads) {
      if (head[prompt]) known.push_back(*head[prompt]);
    }
    if (known.empty()) continue;
    const auto of_prompt = class_shares(known);
    for (size_t i = 0; i < kNumHeadClasses; ++i) shares[i].push_back(of_prompt[i]);
  }
  ClassShares result;
  for (size_t i = 0; i < kNumHeadClasses; ++i) {
    result[i] = over_prompts(shares[i], confidence, kShareBounds);
  }
  return result;
}

}  // namespace

ClassTable find_classes(const Profile& profile, const SummaryOptions& options) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.budget > 0 && options.budget < 1,
                    "a budget of pairs: expected a number between 0 and 1, found {}",
                    options.budget);
  const Classifier classifier(profile, options.budget);
  const std::vector<int64_t> prompts = recorded_prompts(profile);
  ClassTable table{.budget = options.budget, .steps = recorded_steps(profile)};
  std::vector<ClassesByPrompt> all_steps;
  std::vector<std::vector<ClassesByPrompt>> at_step(table.steps.size());
  int64_t changing = 0;
  for (int64_t layer = 0; layer < profile.layers; ++layer) {
    for (int64_t index = 0; index < profile.heads; ++index) {
      const SiteRange range{.layer = layer, .head = index};
      const auto masses = classifier.classify(prompts, range);
      if (!masses) continue;
      ClassifiedHead head{.layer = layer, .head = index, .masses = *masses};
      all_steps.push_back(by_prompt(classifier, prompts, range));
      const auto same = std::count(all_steps.back().begin(), all_steps.back().end(),
                                   std::optional(masses->head_class));
      head.agreeing = static_cast<double>(same) / static_cast<double>(prompts.size());
      for (size_t step = 0; step < table.steps.size(); ++step) {
        SiteRange here = range;
        here.step = table.steps[step];
        const auto found = classifier.classify(prompts, here);
        head.by_step.push_back(found ? found->head_class : HeadClass::kNone);
        at_step[step].push_back(by_prompt(classifier, prompts, here));
      }
      const bool changes =
          std::any_of(head.by_step.begin(), head.by_step.end(),
                      [&](HeadClass head_class) { return head_class != head.by_step.front(); });
      changing += changes ? 1 : 0;
      ++table.counts[static_cast<size_t>(masses->head_class)];
      table.heads.push_back(std::move(head));
    }
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !table.heads.empty(),
                    "profile: expected recorded sites, found none");
  table.changing = static_cast<double>(changing) / static_cast<double>(table.heads.size());
  table.shares = shares_of(all_steps, prompts.size(), options.confidence);
  for (const auto& heads : at_step) {
    table.shares_by_step.push_back(shares_of(heads, prompts.size(), options.confidence));
  }
  return table;
}

}  // namespace sparsescope
