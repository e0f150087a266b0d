#include "derive/dense_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace sparsescope {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();  // no recorded sparse site

struct RecallByPlace {
  std::vector<double> step;   // [steps] mean recall, NaN without records
  std::vector<double> layer;  // [layers]
};

class Means {
 public:
  explicit Means(int64_t size) : sums_(static_cast<size_t>(size)), counts_(sums_.size()) {}
  void add(int64_t index, double value) {
    sums_[static_cast<size_t>(index)] += value;
    counts_[static_cast<size_t>(index)] += 1.0;
  }
  std::vector<double> values() const {
    std::vector<double> result(sums_.size(), kNothing);
    for (size_t i = 0; i < sums_.size(); ++i) {
      if (counts_[i] > 0.0) result[i] = sums_[i] / counts_[i];
    }
    return result;
  }

 private:
  std::vector<double> sums_, counts_;
};

RecallByPlace measure(const Profile& profile, const MethodCurves& curves, const UnitGrid& grid,
                      const Allocation& allocation, const DenseSites& dense) {
  Means by_step(profile.steps);
  Means by_layer(profile.layers);
  std::vector<double> sample(curves.sample_size());
  for_each_sparse_site(profile, dense, [&](const ProfileSite& site) {
    const auto& setting = allocation.settings[grid.unit_of(site.step, site.layer, site.head)];
    if (!setting) return;
    curves.read_sample(site, sample);
    const double recall = curves.evaluate(sample, setting->params).recall;
    by_step.add(site.step, recall);
    by_layer.add(site.layer, recall);
  });
  return {by_step.values(), by_layer.values()};
}

// NaN values are left out.
double median(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return kNothing;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

size_t most_dense(size_t count) {
  return static_cast<size_t>(kMaxDenseShare * static_cast<double>(count));
}

// Steps that were not recorded end the run.
size_t leading_weak(const std::vector<double>& recall) {
  const double bound = median(recall) - kDenseRecallMargin;
  const auto strong =
      std::find_if(recall.begin(), recall.end(), [&](double value) { return !(value < bound); });
  return std::min(static_cast<size_t>(strong - recall.begin()), most_dense(recall.size()));
}

std::vector<size_t> weakest(const std::vector<double>& recall) {
  const double bound = median(recall) - kDenseRecallMargin;
  std::vector<size_t> order(recall.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::erase_if(order, [&](size_t i) { return !(recall[i] < bound); });
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return recall[a] < recall[b]; });
  order.resize(std::min(order.size(), most_dense(recall.size())));
  return order;
}

// Of a budget, at most half goes to dense calls that the data asked for.
bool affordable(const DenseSites& sites, const DeriveOptions& options) {
  const std::optional<double> budget = budget_of(options.target);
  return !budget || sites.share() <= 0.5 * *budget;
}

std::string rule_text(const std::string& what, size_t found, double median_recall) {
  return fmt::format(
      "dense {} found from the data: {} (mean recall more than {} below the median "
      "{:.4f}; at most {:.0f} %, and half of a budget)",
      what, found, kDenseRecallMargin, median_recall, 100.0 * kMaxDenseShare);
}

}  // namespace

DenseChoice named_dense_sites(const Profile& profile, const DeriveOptions& options) {
  DenseChoice choice;
  choice.sites.steps.assign(static_cast<size_t>(profile.steps), false);
  choice.sites.layers = layers_without_records(profile);
  const auto missing = std::count(choice.sites.layers.begin(), choice.sites.layers.end(), true);
  if (missing > 0) {
    choice.remarks.push_back(fmt::format("{} layers were not recorded and stay dense", missing));
  }
  const int64_t first_steps = options.dense_first_steps.value_or(0);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, first_steps <= profile.steps,
                    "--dense-first-steps: expected at most the profile's {} steps, found {}",
                    profile.steps, first_steps);
  std::fill_n(choice.sites.steps.begin(), first_steps, true);
  for (const int64_t layer : options.dense_layers.value_or(std::vector<int64_t>{})) {
    SPARSESCOPE_CHECK(ErrorKind::kUsage, layer < profile.layers,
                      "--dense-layers: expected layers 0 to {}, found {}", profile.layers - 1,
                      layer);
    choice.sites.layers[static_cast<size_t>(layer)] = true;
  }
  return choice;
}

void add_found_dense_sites(DenseChoice& choice, const Profile& profile,
                           const DeriveOptions& options, const MethodCurves& curves,
                           const UnitGrid& grid, const Allocation& provisional) {
  const RecallByPlace recall = measure(profile, curves, grid, provisional, choice.sites);
  const auto try_dense = [&](std::vector<bool>& places, size_t index) {
    const bool before = places[index];
    places[index] = true;
    if (!affordable(choice.sites, options)) places[index] = before;
    return places[index];
  };
  if (!options.dense_first_steps) {
    size_t found = 0;
    for (const size_t wanted = leading_weak(recall.step); found < wanted; ++found) {
      if (!try_dense(choice.sites.steps, found)) break;
    }
    choice.remarks.push_back(rule_text("first steps", found, median(recall.step)));
  }
  if (!options.dense_layers) {
    size_t found = 0;
    for (const size_t layer : weakest(recall.layer)) {
      if (!try_dense(choice.sites.layers, layer)) break;
      ++found;
    }
    choice.remarks.push_back(rule_text("layers", found, median(recall.layer)));
  }
}

}  // namespace sparsescope
