#include "export/site_values.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sparsescope {

PlanSites::PlanSites(const Plan& plan)
    : plan_(plan),
      params_(static_cast<size_t>(plan.num_steps * plan.model.layers * plan.model.heads)) {
  const auto paint = [&](const IndexRange& steps, const IndexRange& layers, const IndexRange& heads,
                         const MethodParams* params) {
    for (int64_t step = steps.first; step <= steps.last; ++step) {
      for (int64_t layer = layers.first; layer <= layers.last; ++layer) {
        const auto row = static_cast<size_t>((step * plan.model.layers + layer) * plan.model.heads);
        std::fill(params_.begin() + static_cast<std::ptrdiff_t>(row) + heads.first,
                  params_.begin() + static_cast<std::ptrdiff_t>(row) + heads.last + 1, params);
      }
    }
  };
  const IndexRange steps{0, plan.num_steps - 1}, layers{0, plan.model.layers - 1},
      heads{0, plan.model.heads - 1};
  for (const PlanRule& rule : plan.rules) paint(rule.steps, rule.layers, rule.heads, &rule.params);
  for (const int64_t step : plan.dense_steps) paint({step, step}, layers, heads, nullptr);
  for (const int64_t layer : plan.dense_layers) paint(steps, {layer, layer}, heads, nullptr);
}

const MethodParams* PlanSites::at(int64_t step, int64_t layer, int64_t head) const {
  return params_[static_cast<size_t>((step * plan_.model.layers + layer) * plan_.model.heads +
                                     head)];
}

bool PlanSites::dense_step(int64_t step) const {
  const auto sites = static_cast<std::ptrdiff_t>(plan_.model.layers * plan_.model.heads);
  const auto first = params_.begin() + step * sites;
  return std::all_of(first, first + sites, [](const MethodParams* params) { return !params; });
}

int64_t PlanSites::dense_prefix() const {
  int64_t count = 0;
  while (count < plan_.num_steps && dense_step(count)) ++count;
  return count;
}

void check_pooled(const VsaParams& vsa, const std::string& format) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, vsa.choice == TileChoice::kPooled,
                    "{}: expected rules that choose tiles by pooled scores, found the choice {}, "
                    "which no other engine can make",
                    format, to_string(vsa.choice));
}

SiteValues vsa_budgets(const Plan& plan, const std::string& format) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, plan.method == Method::kVsa,
                    "{}: holds VSA settings, the plan's method is {}", format,
                    to_string(plan.method));
  const PlanSites sites(plan);
  SiteValues budgets{.steps = plan.num_steps,
                     .layers = plan.model.layers,
                     .heads = plan.model.heads,
                     .label = "top-k",
                     .dense = static_cast<double>(TileGrid(plan.grid, plan.tile).num_tiles()),
                     .values = {}};
  budgets.values.reserve(static_cast<size_t>(budgets.steps * budgets.layers * budgets.heads));
  for (int64_t step = 0; step < budgets.steps; ++step) {
    for (int64_t layer = 0; layer < budgets.layers; ++layer) {
      for (int64_t head = 0; head < budgets.heads; ++head) {
        const MethodParams* params = sites.at(step, layer, head);
        const VsaParams* vsa = params ? &std::get<VsaParams>(*params) : nullptr;
        if (vsa != nullptr) check_pooled(*vsa, format);
        budgets.values.push_back(vsa ? static_cast<double>(vsa->top_k) : budgets.dense);
      }
    }
  }
  return budgets;
}

namespace {

std::string value_text(const SiteValues& values, double value) {
  return value == values.dense ? fmt::format("{} (dense)", value) : fmt::format("{}", value);
}

const char* axis_name(SiteAxis axis) {
  return axis == SiteAxis::kSteps ? "step" : axis == SiteAxis::kLayers ? "layer" : "head";
}

// Where the merged values stand: "" where nothing else is told apart any more.
std::string place_text(const SiteValues& merged, int64_t step, int64_t layer, int64_t head) {
  std::string text;
  const auto add = [&](const char* name, int64_t extent, int64_t index) {
    if (extent > 1) text += fmt::format("{}{} {}", text.empty() ? " at " : ", ", name, index);
  };
  add("step", merged.steps, step);
  add("layer", merged.layers, layer);
  add("head", merged.heads, head);
  return text;
}

}  // namespace

SiteValues merge_axis(const SiteValues& values, SiteAxis axis, std::vector<std::string>& changes) {
  SiteValues merged = values;
  (axis == SiteAxis::kSteps    ? merged.steps
   : axis == SiteAxis::kLayers ? merged.layers
                               : merged.heads) = 1;
  merged.values.assign(static_cast<size_t>(merged.steps * merged.layers * merged.heads),
                       std::nan(""));
  std::vector<double> least = merged.values;
  for (int64_t step = 0; step < values.steps; ++step) {
    for (int64_t layer = 0; layer < values.layers; ++layer) {
      for (int64_t head = 0; head < values.heads; ++head) {
        double& largest =
            merged.at(axis == SiteAxis::kSteps ? 0 : step, axis == SiteAxis::kLayers ? 0 : layer,
                      axis == SiteAxis::kHeads ? 0 : head);
        double& smallest = least[static_cast<size_t>(&largest - merged.values.data())];
        largest = std::fmax(largest, values.at(step, layer, head));  // fmax drops a NaN
        smallest = std::fmin(smallest, values.at(step, layer, head));
      }
    }
  }

  int64_t differing = 0;
  std::string example;
  for (int64_t step = 0; step < merged.steps; ++step) {
    for (int64_t layer = 0; layer < merged.layers; ++layer) {
      for (int64_t head = 0; head < merged.heads; ++head) {
        const double largest = merged.at(step, layer, head);
        const double smallest =
            least[static_cast<size_t>((step * merged.layers + layer) * merged.heads + head)];
        if (std::isnan(largest) || smallest == largest || differing++ > 0) continue;
        example = fmt::format("{} {} to {}{} becomes {}", values.label, smallest,
                              value_text(values, largest), place_text(merged, step, layer, head),
                              value_text(values, largest));
      }
    }
  }
  if (differing > 0) {
    changes.push_back(fmt::format(
        "per-{} values: {}{}", axis_name(axis), example,
        differing > 1 ? fmt::format(", and so the largest at {} more", differing - 1) : ""));
  }
  return merged;
}

double merge_all(const SiteValues& values, std::vector<std::string>& changes) {
  SiteValues merged = values;
  for (const SiteAxis axis : {SiteAxis::kHeads, SiteAxis::kSteps, SiteAxis::kLayers}) {
    merged = merge_axis(merged, axis, changes);
  }
  return merged.values.front();
}

std::string ranges_text(const std::vector<int64_t>& indices) {
  std::string text;
  for (size_t i = 0; i < indices.size();) {
    size_t end = i + 1;
    while (end < indices.size() && indices[end] == indices[end - 1] + 1) ++end;
    if (!text.empty()) text += ",";
    text += end - i > 1 ? fmt::format("{}-{}", indices[i], indices[end - 1])
                        : fmt::format("{}", indices[i]);
    i = end;
  }
  return text;
}

}  // namespace sparsescope
