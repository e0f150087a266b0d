#include "summary/variance_shares.h"

#include <array>
#include <cmath>
#include <map>

namespace sparsescope {
namespace {

using Index = std::array<int64_t, 5>;  // prompt, branch, step, layer, head
enum Axis : size_t { kPrompt, kBranch, kStep, kLayer, kHead };

template <typename Visit>
void for_each_value(const Profile& profile, const SiteNumbers& numbers, const Visit& visit) {
  for (int64_t p = 0; p < profile.prompts; ++p) {
    for (int64_t b = 0; b < profile.branches; ++b) {
      for (int64_t s = 0; s < profile.steps; ++s) {
        for (int64_t l = 0; l < profile.layers; ++l) {
          for (int64_t h = 0; h < profile.heads; ++h) {
            const double value = numbers.at({p, b, s, l, h});
            if (!std::isnan(value)) visit(Index{p, b, s, l, h}, value);
          }
        }
      }
    }
  }
}

// Values with equal indices outside `along` form a group.
double deviation_along(const Profile& profile, const SiteNumbers& numbers, Axis along) {
  std::map<Index, std::vector<double>> groups;
  for_each_value(profile, numbers, [&](Index index, double value) {
    index[along] = 0;
    groups[index].push_back(value);
  });
  std::vector<double> variances;
  for (const auto& [index, values] : groups) {
    const double deviation = known_deviation(values);
    if (!std::isnan(deviation)) variances.push_back(deviation * deviation);
  }
  return variances.empty() ? kNotKnown : std::sqrt(mean_of(variances));
}

// Population variance of the means of groups with equal indices on the kept axes.
double variance_of_means(const Profile& profile, const SiteNumbers& numbers,
                         std::initializer_list<Axis> kept) {
  std::map<Index, std::pair<double, double>> groups;  // sum, count
  for_each_value(profile, numbers, [&](const Index& index, double value) {
    Index key{};
    for (const Axis axis : kept) key[axis] = index[axis];
    groups[key].first += value;
    groups[key].second += 1;
  });
  double sum = 0, squares = 0;
  for (const auto& [key, group] : groups) {
    const double mean = group.first / group.second;
    sum += mean;
    squares += mean * mean;
  }
  const auto count = static_cast<double>(groups.size());
  return squares / count - sum / count * (sum / count);
}

// Whether every combination of the recorded prompts, branches, steps and layers has values.
bool complete(const Profile& profile, const SiteNumbers& numbers) {
  std::array<std::map<int64_t, int64_t>, 5> counts;
  int64_t values = 0;
  for_each_value(profile, numbers, [&](const Index& index, double) {
    for (size_t axis = 0; axis < index.size(); ++axis) ++counts[axis][index[axis]];
    ++values;
  });
  size_t product = 1;
  for (const auto& axis : counts) product *= axis.size();
  return values > 0 && product == static_cast<size_t>(values);
}

}  // namespace

Spreads spreads_of(const Profile& profile, const SiteNumbers& numbers) {
  std::vector<double> layers;
  for (int64_t layer = 0; layer < profile.layers; ++layer) {
    layers.push_back(known_mean(numbers.by_prompt({.layer = layer})));
  }
  return {.prompts = deviation_along(profile, numbers, kPrompt),
          .branches = deviation_along(profile, numbers, kBranch),
          .steps = deviation_along(profile, numbers, kStep),
          .heads = deviation_along(profile, numbers, kHead),
          .layers = known_deviation(layers)};
}

std::optional<VarianceShares> variance_shares(const Profile& profile, const SiteNumbers& numbers) {
  if (!complete(profile, numbers)) return std::nullopt;
  const auto of = [&](std::initializer_list<Axis> kept) {
    return variance_of_means(profile, numbers, kept);
  };
  const double total = of({kPrompt, kBranch, kStep, kLayer, kHead});
  if (!(total > 0)) return std::nullopt;
  const double layers = of({kLayer}), heads = of({kLayer, kHead}), steps = of({kStep}),
               head_steps = of({kStep, kLayer, kHead});
  VarianceShares shares{.deviation = std::sqrt(total),
                        .layers = layers / total,
                        .heads = (heads - layers) / total,
                        .steps = steps / total,
                        .head_steps = (head_steps - heads - steps) / total,
                        .branches = of({kBranch}) / total,
                        .prompts = of({kPrompt}) / total};
  shares.rest = 1 - shares.layers - shares.heads - shares.steps - shares.head_steps -
                shares.branches - shares.prompts;
  return shares;
}

}  // namespace sparsescope
