// One measure of a profile at many heads and prompts, laid out for comparing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "stats/comparable.h"
#include "stats/profile.h"

namespace sparsescope {

struct HeadPlace {
  int64_t branch = 0, step = 0, layer = 0, head = 0;
};

class HeadTable {
 public:
  HeadTable(const Profile& profile, const std::string& statistic, const Measure& measure,
            const std::vector<HeadPlace>& places, const std::vector<int64_t>& prompts);

  // Means over the prompts but one (-1: over all); known [places]: 0 where no prompt has values.
  struct Means {
    std::vector<double> points;  // [places, measure.points]
    std::vector<double> ranked;  // [places]
    std::vector<uint8_t> known;  // [places]
  };
  Means means_without(int64_t prompt) const;

  // Mean of agreement over pairs of prompts and places; nothing where no place has two prompts.
  std::optional<double> mean_of_pairs(
      const std::function<double(std::span<const float>, std::span<const float>)>& agreement) const;

  // Mean distance between two prompts, over pairs and places; nothing where no place has two.
  std::optional<double> spread_between_prompts() const;

 private:
  std::span<const float> points_of(int64_t prompt, int64_t place) const;
  bool has(int64_t prompt, int64_t place) const {
    return known_[static_cast<size_t>(prompt * places_ + place)] != 0;
  }

  int64_t prompts_, places_, num_points_;
  double weight_;
  std::vector<float> points_;   // [prompts, places, points]
  std::vector<double> ranked_;  // [prompts, places]
  std::vector<uint8_t> known_;  // [prompts, places]
};

}  // namespace sparsescope
