#include "effects/ladder.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace sparsescope {

void load_parts(const float* out, const float* lse, int64_t parts, int64_t head_dim,
                std::span<const float* const> directions, bool with_outputs, RowParts& row) {
  const float largest = *std::max_element(lse, lse + parts);
  row.head_dim = head_dim;
  row.weight.resize(static_cast<size_t>(parts));
  row.dot.resize(directions.size() * static_cast<size_t>(parts));
  row.out.resize(with_outputs ? static_cast<size_t>(parts * head_dim) : 0);
  for (int64_t c = 0; c < parts; ++c) {
    const float weight = std::exp(lse[c] - largest);
    const float* from = out + c * head_dim;
    row.weight[c] = weight;
    for (size_t j = 0; j < directions.size(); ++j) {
      float dot = 0.0f;
      for (int64_t d = 0; d < head_dim; ++d) dot += directions[j][d] * from[d];
      row.dot[j * parts + c] = static_cast<double>(weight) * dot;
    }
    if (!with_outputs) continue;
    for (int64_t d = 0; d < head_dim; ++d) row.out[c * head_dim + d] = weight * from[d];
  }
}

void fold_parts(const RowParts& row, std::span<const int32_t> target, int64_t num_targets,
                RowParts& folded) {
  const int64_t parts = row.parts(), rest = parts - std::ssize(target);
  const int64_t num_folded = num_targets + rest;
  const auto target_of = [&](int64_t c) {
    return c < std::ssize(target) ? target[c] : num_targets + c - std::ssize(target);
  };
  folded.head_dim = row.head_dim;
  folded.weight.assign(num_folded, 0.0);
  folded.dot.assign(row.directions() * num_folded, 0.0);
  folded.out.assign(row.out.empty() ? 0 : num_folded * row.head_dim, 0.0f);
  for (int64_t c = 0; c < parts; ++c) {
    const int64_t t = target_of(c);
    folded.weight[t] += row.weight[c];
    for (int64_t j = 0; j < row.directions(); ++j) {
      folded.dot[j * num_folded + t] += row.dot[j * parts + c];
    }
    if (row.out.empty()) continue;
    const float* from = &row.out[c * row.head_dim];
    float* to = &folded.out[t * row.head_dim];
    for (int64_t d = 0; d < row.head_dim; ++d) to[d] += from[d];
  }
}

void LadderWalk::start(const RowParts& row, std::span<const int32_t> level, int64_t num_steps) {
  SPARSESCOPE_ASSERT(std::ssize(level) == row.parts());
  row_ = &row;
  num_steps_ = num_steps;
  first_.assign(num_steps + 2, 0);
  for (const int32_t step : level) ++first_[step + 1];
  for (int64_t step = 0; step <= num_steps; ++step) first_[step + 1] += first_[step];
  order_.resize(level.size());
  for (int32_t c = 0; c < std::ssize(level); ++c) order_[first_[level[c]]++] = c;
  // Each bound has moved to the next one's place.
  std::copy_backward(first_.begin(), first_.end() - 1, first_.end());
  first_[0] = 0;
  weight_.resize(num_steps);
  double weight = 0.0;
  for (int64_t step = 0; step < num_steps; ++step) {
    for (int32_t i = first_[step]; i < first_[step + 1]; ++i) weight += row.weight[order_[i]];
    weight_[step] = weight;
  }
}

void LadderWalk::add_dots(double* change) const {
  for (int64_t j = 0; j < row_->directions(); ++j) {
    const double* dot = &row_->dot[j * row_->parts()];
    double sum = 0.0;
    for (int64_t step = 0; step < num_steps_; ++step) {
      for (int32_t i = first_[step]; i < first_[step + 1]; ++i) sum += dot[order_[i]];
      change[j * num_steps_ + step] += sum / weight_[step];
    }
  }
}

void LadderWalk::add_errors(std::span<const float* const> targets, double* error) {
  const int64_t head_dim = row_->head_dim;
  sum_.assign(head_dim, 0.0f);
  double last = 0.0;  // of the step below: steps that add nothing repeat it
  for (int64_t step = 0; step < num_steps_; ++step) {
    for (int32_t i = first_[step]; i < first_[step + 1]; ++i) {
      const float* out = &row_->out[order_[i] * head_dim];
      for (int64_t d = 0; d < head_dim; ++d) sum_[d] += out[d];
    }
    if (step == 0 || first_[step] < first_[step + 1]) {
      const auto scale = static_cast<float>(1.0 / weight_[step]);
      last = 0.0;
      for (const float* target : targets) {
        float squares = 0.0f;
        for (int64_t d = 0; d < head_dim; ++d) {
          const float difference = sum_[d] * scale - target[d];
          squares += difference * difference;
        }
        last += squares;
      }
    }
    error[step] += last;
  }
}

}  // namespace sparsescope
