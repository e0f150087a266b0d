#include "bench/agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace sparsescope {
namespace {

// The largest difference beside the largest expected value, over all values added.
class Deviation {
 public:
  void add(double found, double expected) {
    // A NaN fails every comparison and would pass as no difference.
    const double difference = std::abs(found - expected);
    worst_ = std::isnan(difference) ? std::numeric_limits<double>::infinity()
                                    : std::max(worst_, difference);
    largest_ = std::max(largest_, std::abs(expected));
  }
  double value() const { return worst_ == 0 ? 0 : worst_ / largest_; }

 private:
  double worst_ = 0, largest_ = 0;
};

std::vector<int32_t> sampled_tokens(int64_t tokens) {
  const int64_t count = std::min(kSampledTokens, tokens);
  std::vector<int32_t> sampled;
  for (int64_t i = 0; i < count; ++i) {
    sampled.push_back(static_cast<int32_t>(count == 1 ? 0 : i * (tokens - 1) / (count - 1)));
  }
  return sampled;
}

// Both sides of a selection at one token of one (batch, head).
struct TokenPairs {
  bool in_lists = false;      // as a row
  std::vector<int32_t> keys;  // of the token as a row
  std::vector<int32_t> rows;  // whose lists hold the token as a key
};

// [B * H, sampled]
std::vector<TokenPairs> sampled_pairs(const SparseSelection& lists, const AttentionShape& shape,
                                      const std::vector<int32_t>& sampled) {
  std::vector<int32_t> sample_of(shape.tokens, -1), position_of(shape.tokens, -1);
  for (size_t i = 0; i < sampled.size(); ++i) sample_of[sampled[i]] = static_cast<int32_t>(i);
  for (int64_t p = 0; p < lists.num_keys; ++p) {
    position_of[lists.key_order[p]] = static_cast<int32_t>(p);
  }
  std::vector<TokenPairs> pairs(shape.batch * shape.heads * sampled.size());
  const auto add_item = [&](TokenPairs* head_pairs, const SparseItem& item) {
    const std::span rows(lists.rows + item.first_row, item.num_rows);
    const std::span ids(lists.range_ids + item.first_range, item.num_ranges);
    for (const int32_t row : rows) {
      if (sample_of[row] < 0) continue;
      TokenPairs& row_pairs = head_pairs[sample_of[row]];
      row_pairs.in_lists = true;
      for (const int32_t id : ids) {
        const KeyRange range = lists.ranges[id];
        row_pairs.keys.insert(row_pairs.keys.end(), lists.key_order + range.first,
                              lists.key_order + range.first + range.count);
      }
    }
    for (size_t i = 0; i < sampled.size(); ++i) {
      const int32_t position = position_of[sampled[i]];
      const bool held = std::ranges::any_of(ids, [&](int32_t id) {
        const KeyRange range = lists.ranges[id];
        return position >= range.first && position < range.first + range.count;
      });
      if (held) head_pairs[i].rows.insert(head_pairs[i].rows.end(), rows.begin(), rows.end());
    }
  };
  for (const SparseStrand& strand : std::span(lists.strands, lists.num_strands)) {
    TokenPairs* head_pairs = &pairs[(strand.batch * shape.heads + strand.head) * sampled.size()];
    for (int32_t i = 0; i < strand.num_items; ++i) {
      add_item(head_pairs, lists.items[strand.first_item + i]);
    }
  }
  return pairs;
}

// The arithmetic of one (batch, head).
class HeadCheck {
 public:
  HeadCheck(const AttentionProblem& problem, const AttentionResult& result, int64_t batch,
            int64_t head)
      : problem_(problem),
        result_(result),
        batch_(batch),
        head_(head),
        D_(problem.shape().head_dim),
        first_row_((batch * problem.shape().heads + head) * problem.shape().tokens) {}

  void check_row(int32_t row, const std::vector<int32_t>& keys, Deviation& out,
                 Deviation& lse) const {
    const RowTruth truth = row_truth(row, keys);
    for (int64_t d = 0; d < D_; ++d) out.add(found(result_.out, row, d), truth.out[d]);
    if (!keys.empty()) lse.add(result_.lse[first_row_ + row], truth.lse);
  }

  // dq = scale sum_j dS_j k_j
  void check_row_gradient(int32_t row, const std::vector<int32_t>& keys, Deviation& dq) const {
    const RowTruth truth = row_truth(row, keys);
    std::vector<double> gradient(D_, 0.0);
    for (const int32_t key : keys) {
      const double p = std::exp(score(row, key) - truth.lse);
      const double ds = p * (d_out_dot_v(row, key) - d_out_dot(row, truth.out));
      for (int64_t d = 0; d < D_; ++d) gradient[d] += problem_.scale() * ds * k(key, d);
    }
    for (int64_t d = 0; d < D_; ++d) dq.add(found(result_.dq, row, d), gradient[d]);
  }

  // dk = scale sum_i dS_i q_i, dv = sum_i P_i d_out_i, with out and lse of the forward pass, which
  // were checked by themselves.
  void check_key_gradient(int32_t key, const std::vector<int32_t>& rows, Deviation& dk,
                          Deviation& dv) const {
    std::vector<double> dk_truth(D_, 0.0), dv_truth(D_, 0.0), out(D_);
    for (const int32_t row : rows) {
      const double p = std::exp(score(row, key) - result_.lse[first_row_ + row]);
      for (int64_t d = 0; d < D_; ++d) out[d] = found(result_.out, row, d);
      const double ds = p * (d_out_dot_v(row, key) - d_out_dot(row, out));
      for (int64_t d = 0; d < D_; ++d) {
        dk_truth[d] += problem_.scale() * ds * q(row, d);
        dv_truth[d] += p * d_out(row, d);
      }
    }
    for (int64_t d = 0; d < D_; ++d) {
      dk.add(found(result_.dk, key, d), dk_truth[d]);
      dv.add(found(result_.dv, key, d), dv_truth[d]);
    }
  }

 private:
  struct RowTruth {
    std::vector<double> out;  // [D]
    double lse = -std::numeric_limits<double>::infinity();
  };

  RowTruth row_truth(int32_t row, const std::vector<int32_t>& keys) const {
    RowTruth truth{.out = std::vector<double>(D_, 0.0)};
    if (keys.empty()) return truth;
    std::vector<double> scores;
    for (const int32_t key : keys) scores.push_back(score(row, key));
    const double largest = *std::ranges::max_element(scores);
    double sum = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      const double weight = std::exp(scores[i] - largest);
      sum += weight;
      for (int64_t d = 0; d < D_; ++d) truth.out[d] += weight * v(keys[i], d);
    }
    for (double& value : truth.out) value /= sum;
    truth.lse = largest + std::log(sum);
    return truth;
  }

  double q(int64_t row, int64_t d) const { return element(problem_.q(), batch_, head_, row, d); }
  double k(int64_t key, int64_t d) const { return element(problem_.k(), batch_, head_, key, d); }
  double v(int64_t key, int64_t d) const { return element(problem_.v(), batch_, head_, key, d); }
  double d_out(int64_t row, int64_t d) const {
    return element(problem_.d_out(), batch_, head_, row, d);
  }
  double found(const std::vector<float>& x, int64_t token, int64_t d) const {
    return x[(first_row_ + token) * D_ + d];
  }
  double score(int64_t row, int64_t key) const {
    double sum = 0;
    for (int64_t d = 0; d < D_; ++d) sum += q(row, d) * k(key, d);
    return problem_.scale() * sum;
  }
  double d_out_dot_v(int64_t row, int64_t key) const {
    double sum = 0;
    for (int64_t d = 0; d < D_; ++d) sum += d_out(row, d) * v(key, d);
    return sum;
  }
  double d_out_dot(int64_t row, const std::vector<double>& x) const {
    double sum = 0;
    for (int64_t d = 0; d < D_; ++d) sum += d_out(row, d) * x[d];
    return sum;
  }

  const AttentionProblem& problem_;
  const AttentionResult& result_;
  int64_t batch_, head_, D_, first_row_;
};

}  // namespace

AgreementBounds agreement_bounds(Dtype dtype) {
  // fp32: a few times the rounding of sums over thousands of keys. bf16 and fp16: probabilities,
  // and LibTorch's outputs, are rounded to that type, 2^-9 and 2^-12 relative.
  if (dtype == Dtype::kBF16) return {.forward = 1e-2, .backward = 2e-2};
  if (dtype == Dtype::kF16) return {.forward = 2e-3, .backward = 4e-3};
  return {.forward = 1e-5, .backward = 2e-5};
}

double deviation(std::span<const float> found, std::span<const float> expected) {
  SPARSESCOPE_ASSERT(found.size() == expected.size());
  Deviation total;
  for (size_t i = 0; i < found.size(); ++i) total.add(found[i], expected[i]);
  return total.value();
}

void require_agreement(const std::string& what, double found, double bound) {
  SPARSESCOPE_CHECK(
      ErrorKind::kInternal, found <= bound,
      "{}: expected a deviation of at most {:.1e} of the largest value, found {:.3e}; "
      "nothing was timed",
      what, bound, found);
}

SampledDeviation sampled_deviation(const AttentionProblem& problem,
                                   const SparseSelection& selection,
                                   const AttentionResult& result) {
  const AttentionShape& shape = problem.shape();
  const std::vector<int32_t> sampled = sampled_tokens(shape.tokens);
  const std::vector<TokenPairs> pairs = sampled_pairs(selection, shape, sampled);
  Deviation out, lse, dq, dk, dv;
  for (int64_t item = 0; item < shape.batch * shape.heads; ++item) {
    const HeadCheck check(problem, result, item / shape.heads, item % shape.heads);
    for (size_t i = 0; i < sampled.size(); ++i) {
      const TokenPairs& token = pairs[item * sampled.size() + i];
      if (token.in_lists) check.check_row(sampled[i], token.keys, out, lse);
      if (result.dq.empty()) continue;
      check.check_row_gradient(sampled[i], token.keys, dq);
      check.check_key_gradient(sampled[i], token.rows, dk, dv);
    }
  }
  return {.forward = std::max(out.value(), lse.value()),
          .backward = std::max({dq.value(), dk.value(), dv.value()})};
}

}  // namespace sparsescope
