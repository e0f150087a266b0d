// One number of every recorded head at every site, and its means over groups of sites. Sites of a
// prompt weigh equally, and so do prompts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "derive/method_curves.h"
#include "stats/profile.h"
#include "summary/measured.h"

namespace sparsescope {

// Which of a prompt's sites; -1: all of them.
struct SiteRange {
  int64_t branch = -1, step = -1, layer = -1, head = -1;
};

class SiteNumbers {
 public:
  // value_of a recorded site; NaN where it has none.
  SiteNumbers(const Profile& profile, const std::function<double(const ProfileSite&)>& value_of);

  double at(const ProfileSite& site) const { return values_[index(site)]; }
  // NaN without a value in the range.
  double of_prompt(int64_t prompt, const SiteRange& range) const;
  std::vector<double> by_prompt(const SiteRange& range) const;  // [prompts]
  Measured mean(const SiteRange& range, double confidence,
                const Interval& bounds = kUnbounded) const;
  std::vector<double> by_head() const;  // [layers, heads] means over everything else

 private:
  size_t index(const ProfileSite& site) const {
    return static_cast<size_t>(
        (((site.prompt * branches_ + site.branch) * steps_ + site.step) * layers_ + site.layer) *
            heads_ +
        site.head);
  }

  int64_t prompts_, branches_, steps_, layers_, heads_;
  std::vector<double> values_;  // [prompts, branches, steps, layers, heads]
};

// Value `index` behind the leading axes. Error(kData) where the profile lacks the array.
SiteNumbers numbers_of(const Profile& profile, const std::string& array, size_t index = 0);

// Means of all of an array's values over the range's sites of the prompts, prompts weighing
// equally; empty where no site holds them. [trailing]
std::vector<double> mean_values(const Profile& profile, const std::string& array,
                                const std::vector<int64_t>& prompts, const SiteRange& range);

}  // namespace sparsescope
