#include "effects/effect_arrays.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "capture/reducers/head_sums.h"
#include "capture/statistic_grids.h"
#include "core/error.h"

namespace sparsescope {
namespace {

using LaddersOf = std::function<const LadderSums&(const HeadEffects&)>;
using ValuesOf = std::function<std::vector<double>(const HeadEffects&, const LadderSums&)>;

// A ladder, the names of its error and its effect, and its axes.
struct Ladder {
  std::string folder, error, effect;
  std::vector<int64_t> shape;
  std::vector<std::string> axes;
  LaddersOf of;
};

std::vector<Ladder> all_ladders(std::span<const HeadEffects> heads,
                                std::span<const Partition> partitions) {
  const int64_t fractions = std::ssize(kFractions), taus = std::ssize(kTaus);
  std::vector<Ladder> ladders = {
      {"",
       "error_pooled",
       "effect_pooled",
       {fractions},
       {"f"},
       [](const HeadEffects& head) -> const LadderSums& { return head.pooled; }},
      {"",
       "bsa_error",
       "bsa_effect",
       {fractions},
       {"kappa"},
       [](const HeadEffects& head) -> const LadderSums& { return head.bsa; }},
      {"",
       "bsa_error_unpruned",
       "bsa_effect_unpruned",
       {fractions},
       {"kappa"},
       [](const HeadEffects& head) -> const LadderSums& { return head.bsa_unpruned; }}};
  for (size_t p = 0; p < partitions.size(); ++p) {
    const std::string folder = "vmoba/" + to_string(partitions[p]) + "/";
    const LadderSums& first = heads.front().top_k[p];
    const size_t directions = heads.front().pooled.change.size() / kFractions.size();
    const auto blocks = static_cast<int64_t>(directions > 0 ? first.change.size() / directions
                                                            : first.error.size());
    ladders.push_back(
        {folder,
         "error_topk",
         "effect_topk",
         {blocks},
         {"k"},
         [p](const HeadEffects& head) -> const LadderSums& { return head.top_k[p]; }});
    ladders.push_back(
        {folder,
         "error_tau",
         "effect_tau",
         {kGatePools, taus},
         {"pool", "tau"},
         [p](const HeadEffects& head) -> const LadderSums& { return head.thresholds[p]; }});
  }
  return ladders;
}

StatArray make_array(std::span<const HeadEffects> heads, const Ladder& ladder,
                     const std::string& name, const ValuesOf& values_of) {
  StatArray array{.name = ladder.folder + name, .axes = ladder.axes};
  array.shape = {static_cast<int64_t>(heads.size())};
  array.shape.insert(array.shape.end(), ladder.shape.begin(), ladder.shape.end());
  const int64_t expected =
      std::accumulate(ladder.shape.begin(), ladder.shape.end(), int64_t{1}, std::multiplies<>());
  for (const HeadEffects& head : heads) {
    const std::vector<double> values = values_of(head, ladder.of(head));
    SPARSESCOPE_ASSERT(std::ssize(values) == expected);
    array.values.insert(array.values.end(), values.begin(), values.end());
  }
  return array;
}

std::vector<double> relative_errors(const HeadEffects& head, const LadderSums& sums) {
  std::vector<double> errors = sums.error;
  for (double& error : errors) error = head.norm > 0.0 ? std::sqrt(error / head.norm) : 0.0;
  return errors;
}

std::vector<double> loss_changes(const LadderSums& sums, const OutputDirections& directions) {
  const int64_t all = directions.probes + (directions.has_residual ? 1 : 0);
  const int64_t steps = std::ssize(sums.change) / all;
  const double scale = 1.0 / (directions.output_norm * directions.output_norm);
  std::vector<double> changes(steps);
  for (int64_t g = 0; g < steps; ++g) {
    double squares = 0.0;
    for (int64_t j = 0; j < directions.probes; ++j) {
      squares += sums.change[j * steps + g] * sums.change[j * steps + g];
    }
    changes[g] = squares / static_cast<double>(directions.probes) * scale;
    if (directions.has_residual) {
      changes[g] += 2.0 * scale * sums.change[directions.probes * steps + g];
    }
  }
  return changes;
}

double sensitivity(const HeadEffects& head, const OutputDirections& directions) {
  const std::vector<double> changes = loss_changes(head.pooled, directions);
  const std::vector<double> errors = relative_errors(head, head.pooled);
  double change = 0.0;
  double error = 0.0;
  for (size_t g = 0; g + 1 < changes.size(); ++g) {  // the last step keeps everything
    change += changes[g];
    error += errors[g] * errors[g];
  }
  return error > 0.0 ? std::sqrt(change / error) : 0.0;
}

StatArray scalar_array(std::span<const HeadEffects> heads, std::string name,
                       const std::function<double(const HeadEffects&)>& value_of) {
  StatArray array{.name = std::move(name), .shape = {static_cast<int64_t>(heads.size())}};
  for (const HeadEffects& head : heads) array.values.push_back(value_of(head));
  return array;
}

}  // namespace

std::vector<StatArray> error_arrays(std::span<const HeadEffects> heads,
                                    std::span<const Partition> partitions) {
  std::vector<StatArray> arrays;
  for (const Ladder& ladder : all_ladders(heads, partitions)) {
    arrays.push_back(make_array(heads, ladder, ladder.error, relative_errors));
  }
  return arrays;
}

std::vector<StatArray> effect_arrays(std::span<const HeadEffects> heads,
                                     std::span<const Partition> partitions,
                                     const OutputDirections& directions) {
  std::vector<StatArray> arrays;
  for (const Ladder& ladder : all_ladders(heads, partitions)) {
    arrays.push_back(
        make_array(heads, ladder, ladder.effect, [&](const HeadEffects&, const LadderSums& sums) {
          return loss_changes(sums, directions);
        }));
  }
  arrays.push_back(
      scalar_array(heads, "output_loss", [&](const HeadEffects&) { return directions.loss; }));
  if (!directions.has_residual) {
    arrays.push_back(scalar_array(heads, "sensitivity", [&](const HeadEffects& head) {
      return sensitivity(head, directions);
    }));
  }
  return arrays;
}

}  // namespace sparsescope
