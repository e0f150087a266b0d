#include "capture/tile_batch.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "capture/gaussian_cut.h"
#include "capture/sorted_columns.h"

namespace sparsescope {
namespace {

constexpr int64_t kNumFractions = std::ssize(kFractions);
using Lanes = std::array<float, kRowLanes>;
using DoubleLanes = std::array<double, kRowLanes>;

// out[r] = sum over lanes of weight[lane] * data[r, lane]. In fp64: which tiles share a batch
// depends on the threads, and the result must not.
void weighted_sums(const float* data, std::span<const float> weight, std::span<double> out) {
  for (double& sum : out) {
    sum = 0.0;
    for (int lane = 0; lane < kRowLanes; ++lane) {
      sum += static_cast<double>(weight[lane]) * data[lane];
    }
    data += kRowLanes;
  }
}

}  // namespace

TileBatch::TileBatch(const CallLayout& layout, int64_t head_dim, const RowStatsKernels& kernels)
    : layout_(layout),
      kernels_(kernels),
      num_tiles_(layout.num_tiles),
      head_dim_(head_dim),
      counts_(coverage_counts(layout.num_tiles)),
      query_means_(head_dim * kRowLanes),
      mass_(num_tiles_ * kRowLanes),
      weight_(kRowLanes),
      scores_(num_tiles_ * kRowLanes),
      sorted_(sort_rows(num_tiles_) * kRowLanes),
      index_(sort_rows(num_tiles_) * kRowLanes),
      ranked_mass_(num_tiles_ * kRowLanes),
      covered_(kNumFractions * kRowLanes) {
  for (const double kappa : kFractions) cuts_.push_back(gaussian_cut(kappa));
}

void TileBatch::start_head(const float* key_means, HeadSums* sums) {
  flush();
  key_means_ = key_means;
  sums_ = sums;
}

void TileBatch::add(std::span<const float> scaled_query_mean, std::span<const float> mass,
                    float tile_size) {
  const int64_t lane = pending_++;
  for (int64_t d = 0; d < head_dim_; ++d) query_means_[d * kRowLanes + lane] = scaled_query_mean[d];
  for (int64_t j = 0; j < num_tiles_; ++j) mass_[j * kRowLanes + lane] = mass[j];
  weight_[lane] = tile_size;
  if (pending_ == kRowLanes) flush();
}

void TileBatch::flush() {
  if (pending_ == 0) return;
  std::fill(weight_.begin() + pending_, weight_.end(), 0.0f);
  kernels_.products(key_means_, num_tiles_, head_dim_, query_means_.data(), scores_.data(),
                    kRowLanes);
  add_coverages();
  add_moments_and_bsa();
  pending_ = 0;
}

void TileBatch::add_coverages() {
  const double rows = std::accumulate(weight_.begin(), weight_.end(), 0.0);
  std::array<double, kNumFractions> sums;
  const auto add_to = [&](const float* ranked, MeanCurve& curve) {
    kernels_.prefix_sums(ranked, counts_.data(), kNumFractions, covered_.data());
    weighted_sums(covered_.data(), weight_, sums);
    curve.add(sums, rows);
  };
  copy_padded(mass_.data(), num_tiles_, -1.0f, sorted_);
  kernels_.sort_columns(sorted_.data(), sort_rows(num_tiles_));
  add_to(sorted_.data(), sums_->coverage_tile);

  kernels_.rank_columns(scores_.data(), kRowLanes, num_tiles_, sort_rows(num_tiles_),
                        sorted_.data(), index_.data());
  kernels_.gather(mass_.data(), index_.data(), num_tiles_, ranked_mass_.data());
  add_to(ranked_mass_.data(), sums_->coverage_pooled);

  std::vector<double> key_mass(num_tiles_);
  weighted_sums(mass_.data(), weight_, key_mass);
  sums_->key_mass.add(key_mass, rows);
}

// Reads sorted_ and index_ as add_coverages leaves them: each lane's tiles by score.
void TileBatch::add_moments_and_bsa() {
  DoubleLanes mean, m2, m3, m4;
  kernels_.moments(scores_.data(), num_tiles_, mean.data(), m2.data(), m3.data(), m4.data());
  const float* best_score = sorted_.data();
  const float* worst_score = &sorted_[(num_tiles_ - 1) * kRowLanes];
  const double tokens = static_cast<double>(layout_.video_tokens);

  for (int64_t lane = 0; lane < pending_; ++lane) {
    // Rounding of the mean must not give equal scores a deviation.
    const bool equal = best_score[lane] == worst_score[lane];
    const double sd = equal ? 0.0 : std::sqrt(m2[lane]);
    const std::array<double, 4> moments{mean[lane], sd, sd > 0 ? m3[lane] / (m2[lane] * sd) : 0.0,
                                        sd > 0 ? m4[lane] / (m2[lane] * m2[lane]) - 3.0 : 0.0};
    sums_->score_moments.add(moments, 1.0);
    sums_->bsa_density.add_weight(weight_[lane]);
    sums_->bsa_recall.add_weight(weight_[lane]);
  }
  for (int64_t i = 0; i < kNumFractions; ++i) {
    Lanes threshold, kept_mass, kept_size;
    for (int64_t lane = 0; lane < kRowLanes; ++lane) {
      const bool all = kFractions[i] >= 1.0 || best_score[lane] == worst_score[lane];
      threshold[lane] = all ? -std::numeric_limits<float>::infinity()
                            : float_not_below(mean[lane] + std::sqrt(m2[lane]) * cuts_[i]);
    }
    kernels_.lane_threshold_sums(scores_.data(), mass_.data(), layout_.tile_size.data(), num_tiles_,
                                 threshold.data(), kept_mass.data(), kept_size.data());
    for (int64_t lane = 0; lane < pending_; ++lane) {
      // The best tile is kept also where the threshold lies above all scores.
      const bool best_alone = threshold[lane] > best_score[lane];
      const double mass = best_alone ? ranked_mass_[lane] : kept_mass[lane];
      const double size = best_alone ? layout_.tile_size[index_[lane]] : kept_size[lane];
      sums_->bsa_recall.add_at(i, weight_[lane] * mass);
      sums_->bsa_density.add_at(i, weight_[lane] * size / tokens);
    }
  }
}

}  // namespace sparsescope
