#include "stats/head_table.h"

#include <algorithm>
#include <cmath>

namespace sparsescope {

HeadTable::HeadTable(const Profile& profile, const std::string& statistic, const Measure& measure,
                     const std::vector<HeadPlace>& places, const std::vector<int64_t>& prompts)
    : prompts_(std::ssize(prompts)),
      places_(std::ssize(places)),
      num_points_(measure.points),
      weight_(measure.weight) {
  const auto cells = static_cast<size_t>(prompts_ * places_);
  points_.resize(cells * static_cast<size_t>(num_points_));
  ranked_.resize(cells);
  known_.resize(cells);
  for (size_t cell = 0; cell < cells; ++cell) {
    const int64_t prompt = prompts[cell / places.size()];
    const HeadPlace& at = places[cell % places.size()];
    const std::span<float> points(points_.data() + cell * static_cast<size_t>(num_points_),
                                  static_cast<size_t>(num_points_));
    const float* values = profile.at(statistic, prompt, at.branch, at.step, at.layer, at.head);
    ranked_[cell] = measure.read(values, points);
    const auto finite = [](float value) { return std::isfinite(value); };
    known_[cell] =
        std::isfinite(ranked_[cell]) && std::all_of(points.begin(), points.end(), finite);
  }
}

std::span<const float> HeadTable::points_of(int64_t prompt, int64_t place) const {
  return {points_.data() + (prompt * places_ + place) * num_points_,
          static_cast<size_t>(num_points_)};
}

HeadTable::Means HeadTable::means_without(int64_t left_out) const {
  Means means{.points = std::vector<double>(static_cast<size_t>(places_ * num_points_)),
              .ranked = std::vector<double>(static_cast<size_t>(places_)),
              .known = std::vector<uint8_t>(static_cast<size_t>(places_))};
  for (int64_t place = 0; place < places_; ++place) {
    double* into = means.points.data() + place * num_points_;
    double count = 0, ranked = 0;
    for (int64_t prompt = 0; prompt < prompts_; ++prompt) {
      if (prompt == left_out || !has(prompt, place)) continue;
      ++count;
      ranked += ranked_[static_cast<size_t>(prompt * places_ + place)];
      const auto points = points_of(prompt, place);
      for (int64_t i = 0; i < num_points_; ++i) into[i] += points[static_cast<size_t>(i)];
    }
    if (count == 0) continue;
    means.known[static_cast<size_t>(place)] = 1;
    means.ranked[static_cast<size_t>(place)] = ranked / count;
    std::for_each(into, into + num_points_, [&](double& value) { value /= count; });
  }
  return means;
}

std::optional<double> HeadTable::mean_of_pairs(
    const std::function<double(std::span<const float>, std::span<const float>)>& agreement) const {
  double sum = 0, pairs = 0;
  for (int64_t p = 0; p < prompts_; ++p) {
    for (int64_t q = p + 1; q < prompts_; ++q) {
      for (int64_t place = 0; place < places_; ++place) {
        if (!has(p, place) || !has(q, place)) continue;
        sum += agreement(points_of(p, place), points_of(q, place));
        ++pairs;
      }
    }
  }
  if (pairs == 0) return std::nullopt;
  return sum / pairs;
}

std::optional<double> HeadTable::spread_between_prompts() const {
  return mean_of_pairs([this](std::span<const float> left, std::span<const float> right) {
    double distance = 0;
    for (size_t i = 0; i < left.size(); ++i) {
      distance += std::abs(static_cast<double>(left[i]) - right[i]);
    }
    return weight_ * distance;
  });
}

}  // namespace sparsescope
