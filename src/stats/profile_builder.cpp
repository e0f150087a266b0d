#include "stats/profile_builder.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "stats/profile_schema.h"
#include "stats/profile_store.h"

namespace sparsescope {

ProfileBuilder::ProfileBuilder(Profile header) : profile_(std::move(header)) {
  const int64_t sites = profile_.prompts * profile_.branches * profile_.steps * profile_.layers;
  profile_.recorded.assign(static_cast<size_t>(sites), 0);
}

void ProfileBuilder::add_array(const StatArray& array, int64_t site) {
  Profile& p = profile_;
  SPARSESCOPE_ASSERT(array.shape.size() == array.axes.size() + 1 && array.shape[0] == p.heads);
  const auto [place, is_new] = p.arrays.try_emplace(array.name);
  ProfileArray& target = place->second;
  if (is_new) {
    const StatisticSchema* schema = find_statistic(array.name);
    target.axes = kLeadingAxes;
    const std::vector<std::string> axes = distinct_axes(array.axes);
    target.axes.insert(target.axes.end(), axes.begin(), axes.end());
    target.shape = {p.prompts, p.branches, p.steps, p.layers};
    target.shape.insert(target.shape.end(), array.shape.begin(), array.shape.end());
    target.unit = schema != nullptr ? schema->unit : "";
    target.description = schema != nullptr ? schema->description : array.name;
    target.values.assign(p.recorded.size() * array.values.size(),
                         std::numeric_limits<float>::quiet_NaN());
  }
  SPARSESCOPE_ASSERT(std::equal(array.shape.begin(), array.shape.end(), target.shape.begin() + 4,
                                target.shape.end()));
  std::transform(array.values.begin(), array.values.end(),
                 target.values.begin() + site * std::ssize(array.values),
                 [](double value) { return static_cast<float>(value); });
}

void ProfileBuilder::add(const SiteStatistics& site, const std::vector<uint8_t>& map_heads) {
  Profile& p = profile_;
  const SiteKey& key = site.site;
  const auto branch = static_cast<int64_t>(key.branch);
  SPARSESCOPE_ASSERT(key.prompt < p.prompts && branch < p.branches && key.step < p.steps &&
                     key.layer < p.layers);
  const int64_t index =
      ((key.prompt * p.branches + branch) * p.steps + key.step) * p.layers + key.layer;
  SPARSESCOPE_ASSERT(p.recorded[static_cast<size_t>(index)] == 0);
  p.recorded[static_cast<size_t>(index)] = 1;
  for (const StatArray& array : site.arrays) add_array(array, index);
  if (site.map.empty()) return;

  std::vector<float> map = site.map;  // [H, N, N]
  const auto per_head = static_cast<std::ptrdiff_t>(map.size()) / p.heads;
  for (int64_t head = 0; head < p.heads; ++head) {
    if (map_heads[static_cast<size_t>(head)] != 0) continue;
    std::fill_n(map.begin() + head * per_head, per_head, std::numeric_limits<float>::quiet_NaN());
  }
  p.maps.emplace(map_name(key.prompt, branch, key.step, key.layer), std::move(map));
}

Profile ProfileBuilder::take(Json manifest) {
  profile_.manifest = std::move(manifest);
  return std::move(profile_);
}

}  // namespace sparsescope
