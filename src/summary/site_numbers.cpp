#include "summary/site_numbers.h"

#include <algorithm>
#include <cmath>

namespace sparsescope {
namespace {

struct Extents {
  int64_t branches, steps, layers, heads;
};

template <typename Visit>
void for_each_site(const Extents& extents, int64_t prompt, const SiteRange& range,
                   const Visit& visit) {
  const auto first = [](int64_t wanted) { return std::max<int64_t>(wanted, 0); };
  const auto end = [](int64_t wanted, int64_t extent) { return wanted < 0 ? extent : wanted + 1; };
  for (int64_t b = first(range.branch); b < end(range.branch, extents.branches); ++b) {
    for (int64_t s = first(range.step); s < end(range.step, extents.steps); ++s) {
      for (int64_t l = first(range.layer); l < end(range.layer, extents.layers); ++l) {
        for (int64_t h = first(range.head); h < end(range.head, extents.heads); ++h) {
          visit(ProfileSite{prompt, b, s, l, h});
        }
      }
    }
  }
}

bool is_recorded(const Profile& profile, const ProfileSite& site) {
  return profile.is_recorded(site.prompt, site.branch, site.step, site.layer);
}

}  // namespace

SiteNumbers::SiteNumbers(const Profile& profile,
                         const std::function<double(const ProfileSite&)>& value_of)
    : prompts_(profile.prompts),
      branches_(profile.branches),
      steps_(profile.steps),
      layers_(profile.layers),
      heads_(profile.heads) {
  for (int64_t prompt = 0; prompt < prompts_; ++prompt) {
    for_each_site({branches_, steps_, layers_, heads_}, prompt, {}, [&](const ProfileSite& site) {
      values_.push_back(is_recorded(profile, site) ? value_of(site) : kNotKnown);
    });
  }
}

double SiteNumbers::of_prompt(int64_t prompt, const SiteRange& range) const {
  double sum = 0;
  int64_t count = 0;
  for_each_site({branches_, steps_, layers_, heads_}, prompt, range, [&](const ProfileSite& site) {
    const double value = at(site);
    if (std::isnan(value)) return;
    sum += value;
    ++count;
  });
  return count > 0 ? sum / static_cast<double>(count) : kNotKnown;
}

std::vector<double> SiteNumbers::by_prompt(const SiteRange& range) const {
  std::vector<double> values;
  for (int64_t prompt = 0; prompt < prompts_; ++prompt) values.push_back(of_prompt(prompt, range));
  return values;
}

Measured SiteNumbers::mean(const SiteRange& range, double confidence,
                           const Interval& bounds) const {
  return over_prompts(by_prompt(range), confidence, bounds);
}

std::vector<double> SiteNumbers::by_head() const {
  std::vector<double> means;
  for (int64_t layer = 0; layer < layers_; ++layer) {
    for (int64_t head = 0; head < heads_; ++head) {
      means.push_back(known_mean(by_prompt({.layer = layer, .head = head})));
    }
  }
  return means;
}

SiteNumbers numbers_of(const Profile& profile, const std::string& array, size_t index) {
  return {profile, [&](const ProfileSite& site) -> double {
            return profile.at(array, site.prompt, site.branch, site.step, site.layer,
                              site.head)[index];
          }};
}

std::vector<double> mean_values(const Profile& profile, const std::string& array,
                                const std::vector<int64_t>& prompts, const SiteRange& range) {
  const auto count = static_cast<size_t>(profile.trailing(array));
  const Extents extents{profile.branches, profile.steps, profile.layers, profile.heads};
  std::vector<double> mean(count, 0.0);
  int64_t prompts_with_values = 0;
  for (const int64_t prompt : prompts) {
    std::vector<double> sum(count, 0.0);
    int64_t sites = 0;
    for_each_site(extents, prompt, range, [&](const ProfileSite& site) {
      if (!is_recorded(profile, site)) return;
      const std::span<const float> values = site_values(profile, array, site, count);
      const auto finite = [](float value) { return std::isfinite(value); };
      if (!std::all_of(values.begin(), values.end(), finite)) return;
      for (size_t i = 0; i < count; ++i) sum[i] += values[i];
      ++sites;
    });
    if (sites == 0) continue;
    ++prompts_with_values;
    for (size_t i = 0; i < count; ++i) mean[i] += sum[i] / static_cast<double>(sites);
  }
  if (prompts_with_values == 0) return {};
  for (double& value : mean) value /= static_cast<double>(prompts_with_values);
  return mean;
}

}  // namespace sparsescope
