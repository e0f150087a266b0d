// VSA: recall against the number K of key tiles that the pooled scores choose, from
// coverage_pooled; that an oracle chooses row by row, from coverage_row; or chance. Between
// measured K the curve is linear, which for a ranking by mass (concave) never promises too much;
// below the smallest measured K it runs to no mass at K = 0.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "derive/method_curves.h"

namespace sparsescope {
namespace {

class VsaCurves : public MethodCurves {
 public:
  VsaCurves(const Profile& profile, TileChoice choice)
      : profile_(profile),
        choice_(choice),
        statistic_(choice == TileChoice::kOracle ? "coverage_row" : "coverage_pooled"),
        num_tiles_(TileGrid(profile.grid, profile.tile).num_tiles()) {
    SPARSESCOPE_CHECK(ErrorKind::kData, profile.arrays.contains(statistic_),
                      "profile: expected the statistic {}, which VSA needs", statistic_);
    knots_.push_back(0.0);
    const std::vector<double>& fractions = fraction_grid();
    for (size_t i = 0; i < fractions.size(); ++i) {
      const auto kept = static_cast<double>(kept_count(fractions[i], num_tiles_));
      if (kept == knots_.back()) continue;  // small grids: several fractions keep as many tiles
      knots_.push_back(kept);
      columns_.push_back(i);
    }
  }

  size_t sample_size() const override { return knots_.size(); }

  void read_sample(const ProfileSite& site, std::span<double> sample) const override {
    const double text = text_mass(profile_, site);
    sample[0] = text;
    if (choice_ == TileChoice::kRandom) {  // tiles get their share of what the text leaves
      for (size_t i = 1; i < knots_.size(); ++i) {
        sample[i] = text + (1.0 - text) * knots_[i] / static_cast<double>(num_tiles_);
      }
      return;
    }
    const auto coverage = site_values(profile_, statistic_, site, fraction_grid().size());
    for (size_t i = 0; i < columns_.size(); ++i) {
      sample[i + 1] = std::min(1.0, text + static_cast<double>(coverage[columns_[i]]));
    }
  }

  Setting cheapest(std::span<const double> sample, double recall, int,
                   const SettingCosts&) const override {
    const double exact = first_reaching(knots_, sample, recall - kRecallSlack);
    const auto top_k = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(exact)), 1, num_tiles_);
    const VsaParams params{.top_k = top_k, .choice = choice_};
    const OperatingPoint point = evaluate(sample, params);
    return {params, point, point.recall >= recall - kRecallSlack};
  }

  OperatingPoint evaluate(std::span<const double> sample,
                          const MethodParams& params) const override {
    const auto kept = static_cast<double>(std::get<VsaParams>(params).top_k);
    return {kept / static_cast<double>(num_tiles_), interpolate(knots_, sample, kept)};
  }

  bool density_is_fixed() const override { return true; }

  std::vector<std::string> remarks() const override {
    return {
        "VSA: least top-k whose coverage_pooled, linear between measured values, reaches the "
        "recall; density is top-k over tiles, which on ragged grids takes large and small tiles "
        "as equally often chosen"};
  }

 private:
  const Profile& profile_;
  TileChoice choice_;
  std::string statistic_;
  int64_t num_tiles_;            // N
  std::vector<double> knots_;    // measured K, behind a leading 0
  std::vector<size_t> columns_;  // of each measured K in coverage_pooled
};

}  // namespace

std::unique_ptr<MethodCurves> make_vsa_curves(const Profile& profile, TileChoice choice) {
  return std::make_unique<VsaCurves>(profile, choice);
}

}  // namespace sparsescope
