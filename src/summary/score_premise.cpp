#include "summary/score_premise.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "capture/gaussian_cut.h"
#include "core/error.h"
#include "stats/profile_schema.h"
#include "summary/gaussian_rows.h"
#include "summary/site_numbers.h"

namespace sparsescope {
namespace {

constexpr size_t kMoments = 4, kDeviation = 1, kSkewness = 2, kKurtosis = 3;
constexpr double kLowHeads = 0.05, kHighHeads = 0.95;

// One head's means over its sites and some prompts.
struct HeadMeans {
  std::vector<double> moments;  // [4]
  std::vector<double> density;  // [kappa]
};

class Premise {
 public:
  Premise(const Profile& profile, const SummaryOptions& options)
      : profile_(profile),
        options_(options),
        prompts_(recorded_prompts(profile)),
        gaussian_(gaussian_row_densities(TileGrid(profile.grid, profile.tile).num_tiles(),
                                         fraction_grid())) {
    for (const auto& [name, count] :
         {std::pair{"score_moments", kMoments}, {"bsa_density", fraction_grid().size()}}) {
      const auto found = static_cast<size_t>(profile.trailing(name));
      SPARSESCOPE_CHECK(ErrorKind::kData, found == count,
                        "profile: {}: expected {} values for each head, found {}", name, count,
                        found);
    }
    all_ = heads_of(prompts_);
    SPARSESCOPE_CHECK(ErrorKind::kData, !all_.empty(),
                      "profile: expected recorded sites with score_moments, found none");
    for (const int64_t prompt : prompts_) by_prompt_.push_back(heads_of({prompt}));
  }

  ScorePremise run() const {
    ScorePremise result{.kappa = options_.budget};
    add_moments(result);
    std::set<double> kappas(fraction_grid().begin(), std::prev(fraction_grid().end()));
    kappas.insert(options_.budget);
    for (const double kappa : kappas) result.cuts.push_back(cut_line(kappa));
    for (int64_t layer = 0; layer < profile_.layers; ++layer) add_layer(layer, result);
    add_heads(result);
    return result;
  }

 private:
  // [layers * heads]; empty members where a head has no site, empty where no head has one.
  std::vector<HeadMeans> heads_of(const std::vector<int64_t>& prompts) const {
    std::vector<HeadMeans> heads;
    bool any = false;
    for (int64_t layer = 0; layer < profile_.layers; ++layer) {
      for (int64_t head = 0; head < profile_.heads; ++head) {
        const SiteRange range{.layer = layer, .head = head};
        heads.push_back({mean_values(profile_, "score_moments", prompts, range),
                         mean_values(profile_, "bsa_density", prompts, range)});
        any = any || known(heads.back());
      }
    }
    return any ? heads : std::vector<HeadMeans>();
  }

  static bool known(const HeadMeans& head) {
    return !head.moments.empty() && !head.density.empty();
  }

  static double density_at(const HeadMeans& head, double kappa) {
    return interpolate(fraction_grid(), head.density, kappa);
  }
  static double shift_at(const HeadMeans& head, double kappa) {
    return fitted_cut(fraction_grid(), head.density, kappa).value_or(kNotKnown) -
           gaussian_cut(kappa);
  }
  static double predicted_at(const HeadMeans& head, double kappa) {
    const double z = gaussian_cut(kappa);
    return cornish_fisher(z, head.moments[kSkewness], head.moments[kKurtosis]) - z;
  }

  // number_of each known head; layer -1: of all layers.
  template <typename NumberOf>
  std::vector<double> numbers(const std::vector<HeadMeans>& heads, int64_t layer,
                              const NumberOf& number_of) const {
    std::vector<double> result;
    for (size_t i = 0; i < heads.size(); ++i) {
      if (layer >= 0 && static_cast<int64_t>(i) / profile_.heads != layer) continue;
      if (known(heads[i])) result.push_back(number_of(heads[i]));
    }
    return result;
  }

  template <typename NumberOf>
  Measured mean(int64_t layer, const NumberOf& number_of, const Interval& bounds) const {
    std::vector<double> values;
    for (const std::vector<HeadMeans>& heads : by_prompt_) {
      values.push_back(known_mean(numbers(heads, layer, number_of)));
    }
    return over_prompts(values, options_.confidence, bounds);
  }

  void add_moments(ScorePremise& result) const {
    const Axis axis = describe_axis("moment", kMoments);
    for (size_t i = 0; i < kMoments; ++i) {
      const auto moment = [i](const HeadMeans& head) { return head.moments[i]; };
      const std::vector<double> heads = numbers(all_, -1, moment);
      result.moments.push_back({.name = axis.labels[i],
                                .mean = mean(-1, moment, i == kDeviation ? kPositive : kUnbounded),
                                .low = known_quantile(heads, kLowHeads),
                                .high = known_quantile(heads, kHighHeads)});
    }
  }

  CutLine cut_line(double kappa) const {
    const auto density = [kappa](const HeadMeans& head) { return density_at(head, kappa); };
    const auto shift = [kappa](const HeadMeans& head) { return shift_at(head, kappa); };
    const auto predicted = [kappa](const HeadMeans& head) { return predicted_at(head, kappa); };
    const std::vector<double> kept = numbers(all_, -1, density), shifts = numbers(all_, -1, shift),
                              foretold = numbers(all_, -1, predicted);
    CutLine line{.kappa = kappa,
                 .density = mean(-1, density, kShareBounds),
                 .low = known_quantile(kept, kLowHeads),
                 .high = known_quantile(kept, kHighHeads),
                 .gaussian_density = interpolate(fraction_grid(), gaussian_, kappa),
                 .shift = mean(-1, shift, kUnbounded)};
    if (const auto cut = fitted_cut(fraction_grid(), gaussian_, kappa)) {
      line.gaussian_shift = *cut - gaussian_cut(kappa);
    }
    std::vector<double> sizes, rests, predictions;
    for (size_t i = 0; i < shifts.size(); ++i) {
      line.without += std::isnan(shifts[i]) ? 1 : 0;
      predictions.push_back(std::isnan(shifts[i]) ? kNotKnown : foretold[i]);
      sizes.push_back(std::abs(shifts[i]));
      rests.push_back(std::abs(shifts[i] - foretold[i]));
    }
    line.predicted = known_mean(predictions);
    line.size = known_mean(sizes);
    line.rest = known_mean(rests);
    return line;
  }

  void add_layer(int64_t layer, ScorePremise& result) const {
    const double kappa = result.kappa;
    const auto moment = [](size_t i) {
      return [i](const HeadMeans& head) { return head.moments[i]; };
    };
    LayerPremise line{
        .layer = layer,
        .skewness = mean(layer, moment(kSkewness), kUnbounded),
        .excess_kurtosis = mean(layer, moment(kKurtosis), kUnbounded),
        .density = mean(
            layer, [&](const HeadMeans& head) { return density_at(head, kappa); }, kShareBounds),
        .shift = mean(
            layer, [&](const HeadMeans& head) { return shift_at(head, kappa); }, kUnbounded)};
    if (line.density.known()) result.layers.push_back(line);
  }

  void add_heads(ScorePremise& result) const {
    for (size_t i = 0; i < all_.size(); ++i) {
      if (!known(all_[i])) continue;
      const double shift = shift_at(all_[i], result.kappa);
      HeadPremise head{.layer = static_cast<int64_t>(i) / profile_.heads,
                       .head = static_cast<int64_t>(i) % profile_.heads,
                       .skewness = all_[i].moments[kSkewness],
                       .excess_kurtosis = all_[i].moments[kKurtosis],
                       .density = density_at(all_[i], result.kappa),
                       .predicted = predicted_at(all_[i], result.kappa)};
      if (!std::isnan(shift)) head.shift = shift;
      result.heads.push_back(head);
    }
    const auto size = [](const HeadPremise& head) {
      return head.shift ? std::abs(*head.shift) : std::numeric_limits<double>::infinity();
    };
    std::stable_sort(result.heads.begin(), result.heads.end(),
                     [&](const auto& a, const auto& b) { return size(a) > size(b); });
  }

  const Profile& profile_;
  const SummaryOptions& options_;
  std::vector<int64_t> prompts_;
  std::vector<double> gaussian_;  // [kappa] density of normal scores
  std::vector<HeadMeans> all_;
  std::vector<std::vector<HeadMeans>> by_prompt_;
};

}  // namespace

ScorePremise find_score_premise(const Profile& profile, const SummaryOptions& options) {
  return Premise(profile, options).run();
}

}  // namespace sparsescope
