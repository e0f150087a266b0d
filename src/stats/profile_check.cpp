// The laws that a profile's values obey, whatever was measured.
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "stats/kept_check.h"
#include "stats/profile_schema.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

// Masses are sums of fp32 probabilities; sums of them are off by rounding alone.
constexpr double kSlack = 1e-3;
// One defect tends to repeat at every site: the first few places say enough.
constexpr size_t kMaxFindings = 50;

class Checker {
 public:
  explicit Checker(const Profile& profile)
      : p_(profile), effects_only_(profile.manifest.value("effects_only", false)) {}

  std::vector<std::string> run() {
    for (const StatisticSchema& schema : statistic_schemas()) {
      const std::string name(schema.name);
      const bool of_partition = name.ends_with("_topk") || name.ends_with("_tau");
      if (schema.required && !effects_only_ && !of_partition && !p_.arrays.contains(name)) {
        add("/stats/" + name, "is missing");
      }
    }
    for (const auto& [name, array] : p_.arrays) check_values(name, array);
    if (!effects_only_) for_each_head([this](const Site& site) { check_site(site); });
    for (const auto& [name, values] : p_.maps) check_map(name, values);
    for (std::string& finding : check_kept(p_)) findings_.push_back(std::move(finding));
    return std::move(findings_);
  }

 private:
  struct Site {
    int64_t prompt, branch, step, layer, head;
  };

  void add(const std::string& place, const std::string& what) {
    if (findings_.size() < kMaxFindings) findings_.push_back(place + ": " + what);
  }

  static std::string place(const std::string& name, const Site& s) {
    return fmt::format("{} at prompt {}, branch {}, step {}, layer {}, head {}",
                       dataset_of_array(name), s.prompt, s.branch, s.step, s.layer, s.head);
  }

  template <typename Body>
  void for_each_head(const Body& body) {
    for (int64_t p = 0; p < p_.prompts; ++p)
      for (int64_t b = 0; b < p_.branches; ++b)
        for (int64_t s = 0; s < p_.steps; ++s)
          for (int64_t l = 0; l < p_.layers; ++l)
            for (int64_t h = 0; h < p_.heads && p_.is_recorded(p, b, s, l); ++h)
              body(Site{p, b, s, l, h});
  }

  // Values stand exactly where sites were recorded, and in the range of the statistic.
  void check_values(const std::string& name, const ProfileArray& array) {
    const StatisticSchema* schema = find_statistic(name);
    const int64_t per_site = p_.heads * p_.trailing(name);
    for (size_t i = 0; i < array.values.size() && per_site > 0; ++i) {
      const float value = array.values[i];
      const size_t site = i / static_cast<size_t>(per_site);
      if (std::isnan(value)) {
        const bool expected = p_.recorded[site] != 0 && (schema == nullptr || schema->required);
        if (expected) return add(dataset_of_array(name), fmt::format("value {} is NaN", i));
      } else if (p_.recorded[site] == 0) {
        return add(dataset_of_array(name),
                   fmt::format("value {} belongs to a site that was not recorded", i));
      } else if (schema != nullptr &&
                 (value < schema->low - kSlack || value > schema->high + kSlack)) {
        return add(dataset_of_array(name), fmt::format("value {} is {}, expected {} to {}", i,
                                                       value, schema->low, schema->high));
      }
    }
  }

  double sum(const std::string& name, const Site& s) const {
    const float* values = p_.at(name, s.prompt, s.branch, s.step, s.layer, s.head);
    return std::accumulate(values, values + p_.trailing(name), 0.0);
  }

  void check_sum(const std::string& name, const Site& site, double expected, double slack) {
    if (!p_.arrays.contains(name)) return;
    const double found = sum(name, site);
    if (std::abs(found - expected) > slack) {
      add(place(name, site), fmt::format("sums to {}, expected {}", found, expected));
    }
  }

  void check_rises(const std::string& name, const Site& s) {
    if (!p_.arrays.contains(name)) return;
    const float* values = p_.at(name, s.prompt, s.branch, s.step, s.layer, s.head);
    for (int64_t i = 1; i < p_.trailing(name); ++i) {
      if (values[i] < values[i - 1] - kSlack) {
        return add(place(name, s), fmt::format("falls from {} to {}", values[i - 1], values[i]));
      }
    }
  }

  void check_site(const Site& site) {
    const double video = p_.arrays.contains("prefix_mass") ? 1 - sum("prefix_mass", site) : 1;
    for (const char* name : {"key_mass", "mass_dt", "mass_dh", "mass_dw", "offset_mass"}) {
      check_sum(name, site, video, kSlack);
    }
    const int64_t tiles = TileGrid(p_.grid, p_.tile).num_tiles();
    check_sum("query_cosine", site, static_cast<double>(p_.grid.tokens() - tiles), 0.5);
    for (const char* name : {"coverage_row", "coverage_tile", "coverage_pooled", "bsa_density"}) {
      check_rises(name, site);
    }
  }

  // Heads that were not asked for are NaN throughout.
  void check_map(const std::string& name, const std::vector<float>& values) {
    const auto tiles = static_cast<size_t>(TileGrid(p_.grid, p_.tile).num_tiles());
    for (size_t row = 0; row < values.size() / tiles; ++row) {
      if (std::isnan(values[row * tiles])) continue;
      double total = 0;
      for (size_t j = 0; j < tiles; ++j) {
        const double mass = values[row * tiles + j];
        if (!(mass >= 0)) return add("/maps/" + name, fmt::format("row {} holds {}", row, mass));
        total += mass;
      }
      if (total > 1 + kSlack) {
        return add("/maps/" + name, fmt::format("row {} sums to {}", row, total));
      }
    }
  }

  const Profile& p_;
  bool effects_only_;  // the profile holds no other statistics
  std::vector<std::string> findings_;
};

}  // namespace

std::vector<std::string> check_profile(const std::filesystem::path& path) {
  try {
    const Profile profile = read_profile(path);
    return Checker(profile).run();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    return {error.what()};
  }
}

}  // namespace sparsescope
