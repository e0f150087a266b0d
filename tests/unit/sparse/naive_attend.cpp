#include "unit/sparse/naive_attend.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sparsescope::testing {
namespace {

constexpr double kStep = 1e-5;

// One (batch, head) of a problem under a run's selection.
class Head {
 public:
  Head(const AttendProblem& problem, const NaiveTensors& tensors, const AttendRun& run,
       int64_t item)
      : p_(problem), t_(tensors), run_(run), item_(item) {
    if (!run.plan) return;
    const TileGrid blocks(problem.grid, run.plan->block);
    for (int64_t i = 0; i < problem.grid.tokens(); ++i) block_.push_back(blocks.tile_of_token(i));
    num_blocks_ = blocks.num_tiles();
  }

  std::vector<double> out() const {
    std::vector<double> rows(p_.x.tokens * dim());
    for (int64_t row = 0; row < p_.x.tokens; ++row) attend_row(row, &rows[row * dim()]);
    if (run_.plan && run_.plan->method == Method::kBsa) restore(rows);
    if (run_.plan && run_.plan->method == Method::kVsa) add_coarse(rows);
    return rows;
  }

 private:
  int64_t dim() const { return p_.x.head_dim; }
  const double* row_of(const std::vector<double>& x, int64_t token) const {
    return &x[(item_ * p_.x.tokens + token) * dim()];
  }

  bool attends(int64_t row, int64_t key) const {
    const int64_t video = p_.grid.tokens(), i = row - p_.prefix, j = key - p_.prefix;
    if (!run_.plan || i < 0 || i >= video || j < 0 || j >= video) return true;
    const std::vector<uint8_t>& mask = run_.masks.at("mask");
    const bool by_row = run_.plan->method == Method::kVmoba;
    const int64_t line = by_row ? item_ * video + i : item_ * num_blocks_ + block_[i];
    return mask[line * num_blocks_ + block_[j]] != 0;
  }

  static void softmax(std::vector<double>& logits) {
    const double top = *std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (double& x : logits) total += x = std::exp(x - top);
    for (double& x : logits) x /= total;
  }

  void attend_row(int64_t row, double* out) const {
    std::vector<double> logits(p_.x.tokens, -std::numeric_limits<double>::infinity());
    for (int64_t key = 0; key < p_.x.tokens; ++key) {
      if (!attends(row, key)) continue;
      logits[key] = 0;
      for (int64_t d = 0; d < dim(); ++d) {
        logits[key] += p_.scale() * row_of(t_.q, row)[d] * row_of(t_.k, key)[d];
      }
    }
    softmax(logits);
    for (int64_t key = 0; key < p_.x.tokens; ++key) {
      for (int64_t d = 0; d < dim(); ++d) out[d] += logits[key] * row_of(t_.v, key)[d];
    }
  }

  void restore(std::vector<double>& rows) const {
    const std::vector<double> computed = rows;
    for (int64_t i = 0; i < p_.grid.tokens(); ++i) {
      const int64_t source = run_.plan->lists.restore_from[item_ * p_.grid.tokens() + i];
      for (int64_t d = 0; d < dim(); ++d) {
        rows[(p_.prefix + i) * dim() + d] = source < 0 ? 0.0 : computed[source * dim() + d];
      }
    }
  }

  std::vector<double> mean(const std::vector<double>& x, int64_t block) const {
    std::vector<double> sum(dim(), 0.0);
    double count = 0;
    for (int64_t i = 0; i < p_.grid.tokens(); ++i) {
      if (block_[i] != block) continue;
      ++count;
      for (int64_t d = 0; d < dim(); ++d) sum[d] += row_of(x, p_.prefix + i)[d];
    }
    for (double& value : sum) value /= count;
    return sum;
  }

  void add_coarse(std::vector<double>& rows) const {
    std::vector<std::vector<double>> q, k, v;
    for (int64_t block = 0; block < num_blocks_; ++block) {
      q.push_back(mean(t_.q, block));
      k.push_back(mean(t_.k, block));
      v.push_back(mean(t_.v, block));
    }
    for (int64_t i = 0; i < num_blocks_; ++i) {
      std::vector<double> probs(num_blocks_, 0.0), coarse(dim(), 0.0);
      for (int64_t j = 0; j < num_blocks_; ++j) {
        for (int64_t d = 0; d < dim(); ++d) probs[j] += p_.scale() * q[i][d] * k[j][d];
      }
      softmax(probs);
      for (int64_t j = 0; j < num_blocks_; ++j) {
        for (int64_t d = 0; d < dim(); ++d) coarse[d] += probs[j] * v[j][d];
      }
      for (int64_t token = 0; token < p_.grid.tokens(); ++token) {
        if (block_[token] != i) continue;
        for (int64_t d = 0; d < dim(); ++d) {
          const double gate = t_.gate.empty() ? 1.0 : row_of(t_.gate, p_.prefix + token)[d];
          rows[(p_.prefix + token) * dim() + d] += gate * coarse[d];
        }
      }
    }
  }

  const AttendProblem& p_;
  const NaiveTensors& t_;
  const AttendRun& run_;
  int64_t item_;  // batch * H + head
  int64_t num_blocks_ = 0;
  std::vector<int64_t> block_;  // [S_video]
};

// out . d_out of one (batch, head)
double head_loss(const AttendProblem& problem, const NaiveTensors& tensors, const AttendRun& run,
                 int64_t item) {
  const std::vector<double> out = Head(problem, tensors, run, item).out();
  double loss = 0;
  for (size_t i = 0; i < out.size(); ++i) loss += out[i] * problem.d_out[item * out.size() + i];
  return loss;
}

}  // namespace

NaiveTensors tensors_of(const AttendProblem& problem) {
  const auto widen = [](const std::vector<float>& x) {
    return std::vector<double>(x.begin(), x.end());
  };
  return {widen(problem.x.q), widen(problem.x.k), widen(problem.x.v), widen(problem.gate)};
}

std::vector<double> naive_attend(const AttendProblem& problem, const NaiveTensors& tensors,
                                 const AttendRun& run) {
  std::vector<double> out;
  for (int64_t item = 0; item < problem.x.batch * problem.x.heads; ++item) {
    const std::vector<double> rows = Head(problem, tensors, run, item).out();
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

double naive_derivative(const AttendProblem& problem, const AttendRun& run,
                        std::vector<double> NaiveTensors::*tensor, int64_t index) {
  const int64_t item = index / (problem.x.tokens * problem.x.head_dim);
  NaiveTensors above = tensors_of(problem), below = above;
  (above.*tensor)[index] += kStep;
  (below.*tensor)[index] -= kStep;
  return (head_loss(problem, above, run, item) - head_loss(problem, below, run, item)) /
         (2 * kStep);
}

}  // namespace sparsescope::testing
