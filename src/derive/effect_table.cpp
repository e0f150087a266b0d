#include "derive/effect_table.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"

namespace sparsescope {
namespace {

// A value of one array, or a mean of two neighbours.
struct Reading {
  std::string array;
  size_t index = 0;
  double next_weight = 0.0;  // of the value behind it
};

Reading between(const std::string& array, std::span<const double> knots, double x) {
  const auto above = std::upper_bound(knots.begin(), knots.end(), x) - knots.begin();
  if (above == 0) return {array, 0};
  if (above == std::ssize(knots)) return {array, knots.size() - 1};
  return {array, static_cast<size_t>(above - 1),
          (x - knots[above - 1]) / (knots[above] - knots[above - 1])};
}

class Readings {
 public:
  explicit Readings(const Profile& profile) {
    const int64_t num_tiles = TileGrid(profile.grid, profile.tile).num_tiles();
    for (const double f : fraction_grid()) {
      top_k_.push_back(static_cast<double>(kept_count(f, num_tiles)));
    }
  }

  Reading of(const VsaParams& vsa) const {
    // Fractions may share a K; any of them will do.
    return between("effect_pooled", top_k_, static_cast<double>(vsa.top_k));
  }
  Reading of(const BsaParams& bsa) const {
    return between(bsa.query_keep < 1.0 ? "bsa_effect" : "bsa_effect_unpruned", fraction_grid(),
                   bsa.kv_keep);
  }
  Reading of(const VmobaParams& vmoba) const {
    const std::string folder = "vmoba/" + to_string(vmoba.partition) + "/";
    if (vmoba.select == VmobaSelect::kTopK) {
      return {folder + "effect_topk", static_cast<size_t>(vmoba.top_k) - 1};
    }
    const auto pool = static_cast<size_t>(vmoba.pool);
    const auto tau = static_cast<size_t>(
        std::find(tau_grid().begin(), tau_grid().end(), vmoba.threshold) - tau_grid().begin());
    return {folder + "effect_tau", pool * tau_grid().size() + tau};
  }
  Reading of(const MethodParams& params) const {
    return std::visit([this](const auto& method) { return of(method); }, params);
  }

 private:
  std::vector<double> top_k_;
};

double read(const Profile& profile, const Reading& reading, const EffectSite& site, int64_t layer,
            int64_t head) {
  const float* values = profile.at(reading.array, site.prompt, site.branch, site.step, layer, head);
  const double value = values[reading.index];
  if (reading.next_weight == 0.0) return value;
  return value + reading.next_weight * (values[reading.index + 1] - value);
}

// Dense attention, as the setting that keeps everything.
Reading dense_reading(const Profile& profile, Method method,
                      std::span<const Candidate> candidates) {
  if (method == Method::kVsa) return {"effect_pooled", fraction_grid().size() - 1};
  if (method == Method::kBsa) return {"bsa_effect_unpruned", fraction_grid().size() - 1};
  const auto& vmoba = std::get<VmobaParams>(candidates.front().params);
  const std::string array = "vmoba/" + to_string(vmoba.partition) + "/effect_topk";
  return {array, static_cast<size_t>(profile.trailing(array)) - 1};
}

const char* effect_name(Method method) {
  return method == Method::kVsa ? "effect_pooled" : "bsa_effect";
}

}  // namespace

bool has_effects(const Profile& profile, Method method) {
  if (method != Method::kVmoba) return profile.arrays.contains(effect_name(method));
  return std::any_of(profile.arrays.begin(), profile.arrays.end(),
                     [](const auto& entry) { return entry.first.ends_with("/effect_topk"); });
}

EffectTable read_effects(const Profile& profile, Method method,
                         std::span<const Candidate> candidates) {
  const Readings readings(profile);
  std::vector<Reading> columns;
  for (const Candidate& candidate : candidates) columns.push_back(readings.of(candidate.params));
  columns.push_back(dense_reading(profile, method, candidates));
  for (const Reading& reading : columns) {
    SPARSESCOPE_CHECK(ErrorKind::kData, profile.arrays.contains(reading.array),
                      "profile: expected the statistic {}, found none: effects on the output are "
                      "measured by profile --sensitivity",
                      reading.array);
  }
  EffectTable table{
      .layers = profile.layers, .heads = profile.heads, .candidates = std::ssize(candidates)};
  for (int64_t prompt = 0; prompt < profile.prompts; ++prompt) {
    for (int64_t branch = 0; branch < profile.branches; ++branch) {
      for (int64_t step = 0; step < profile.steps; ++step) {
        EffectSite site{prompt, branch, step};
        bool complete = true;
        for (int64_t layer = 0; layer < profile.layers && complete; ++layer) {
          for (int64_t head = 0; head < profile.heads; ++head) {
            for (const Reading& reading : columns) {
              site.changes.push_back(static_cast<float>(read(profile, reading, site, layer, head)));
              complete = complete && !std::isnan(site.changes.back());
            }
          }
        }
        if (!complete) continue;
        site.loss = *profile.at("output_loss", prompt, branch, step, 0, 0);
        table.around_plan = table.around_plan || site.loss > 0.0;
        table.sites.push_back(std::move(site));
      }
    }
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !table.sites.empty(),
                    "profile: expected effects on the output at some step, found none");
  return table;
}

}  // namespace sparsescope
