#include "bench/agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

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
  void merge(const Deviation& other) {
    worst_ = std::max(worst_, other.worst_);
    largest_ = std::max(largest_, other.largest_);
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
    for (int64_t d = 0; d < D_; ++d) out.add(found(result_.out, row)[d], truth.out[d]);
    if (!keys.empty()) lse.add(result_.lse[first_row_ + row], truth.lse);
  }

  // dq = scale sum_j dS_j k_j
  void check_row_gradient(int32_t row, const std::vector<int32_t>& keys, Deviation& dq) const {
    const RowTruth truth = row_truth(row, keys);
    const Row q = load(problem_.q(), row), d_out = load(problem_.d_out(), row);
    const double delta = dot(d_out, truth.out);
    Row gradient(D_, 0.0), k(D_), v(D_);
    for (const int32_t key : keys) {
      load(problem_.k(), key, k);
      load(problem_.v(), key, v);
      const double p = std::exp(problem_.scale() * dot(q, k) - truth.lse);
      add_scaled(gradient, problem_.scale() * p * (dot(d_out, v) - delta), k);
    }
    for (int64_t d = 0; d < D_; ++d) dq.add(found(result_.dq, row)[d], gradient[d]);
  }

  // dk = scale sum_i dS_i q_i, dv = sum_i P_i d_out_i, with out and lse of the forward pass, which
  // were checked by themselves.
  void check_key_gradient(int32_t key, const std::vector<int32_t>& rows, Deviation& dk,
                          Deviation& dv) const {
    const Row k = load(problem_.k(), key), v = load(problem_.v(), key);
    Row dk_truth(D_, 0.0), dv_truth(D_, 0.0), q(D_), d_out(D_), out(D_);
    for (const int32_t row : rows) {
      load(problem_.q(), row, q);
      load(problem_.d_out(), row, d_out);
      std::copy_n(found(result_.out, row), D_, out.begin());
      const double p = std::exp(problem_.scale() * dot(q, k) - result_.lse[first_row_ + row]);
      add_scaled(dk_truth, problem_.scale() * p * (dot(d_out, v) - dot(d_out, out)), q);
      add_scaled(dv_truth, p, d_out);
    }
    for (int64_t d = 0; d < D_; ++d) {
      dk.add(found(result_.dk, key)[d], dk_truth[d]);
      dv.add(found(result_.dv, key)[d], dv_truth[d]);
    }
  }

 private:
  using Row = std::vector<double>;  // [D]
  struct RowTruth {
    Row out;
    double lse = -std::numeric_limits<double>::infinity();
  };

  RowTruth row_truth(int32_t row, const std::vector<int32_t>& keys) const {
    RowTruth truth{.out = Row(D_, 0.0)};
    if (keys.empty()) return truth;
    const Row q = load(problem_.q(), row);
    Row other(D_);
    std::vector<double> scores;
    for (const int32_t key : keys) {
      load(problem_.k(), key, other);
      scores.push_back(problem_.scale() * dot(q, other));
    }
    const double largest = *std::ranges::max_element(scores);
    double sum = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      const double weight = std::exp(scores[i] - largest);
      sum += weight;
      load(problem_.v(), keys[i], other);
      add_scaled(truth.out, weight, other);
    }
    for (double& value : truth.out) value /= sum;
    truth.lse = largest + std::log(sum);
    return truth;
  }

  void load(const AttentionTensor& x, int64_t token, Row& row) const {
    load_row(x, batch_, head_, token, row.data());
  }
  Row load(const AttentionTensor& x, int64_t token) const {
    Row row(D_);
    load(x, token, row);
    return row;
  }
  const float* found(const std::vector<float>& x, int64_t token) const {
    return &x[(first_row_ + token) * D_];
  }
  static double dot(const Row& a, const Row& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  }
  static void add_scaled(Row& to, double factor, const Row& x) {
    for (size_t d = 0; d < to.size(); ++d) to[d] += factor * x[d];
  }

  const AttentionProblem& problem_;
  const AttentionResult& result_;
  int64_t batch_, head_, D_, first_row_;
};

// Of one sampled token, or the worst of many.
struct TokenDeviations {
  Deviation out, lse, dq, dk, dv;
  void merge(const TokenDeviations& other) {
    out.merge(other.out);
    lse.merge(other.lse);
    dq.merge(other.dq);
    dk.merge(other.dk);
    dv.merge(other.dv);
  }
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
                                   const SparseSelection& selection, const AttentionResult& result,
                                   ThreadPool& pool) {
  const AttentionShape& shape = problem.shape();
  const std::vector<int32_t> sampled = sampled_tokens(shape.tokens);
  const std::vector<TokenPairs> pairs = sampled_pairs(selection, shape, sampled);
  std::vector<TokenDeviations> of_token(pairs.size());
  pool.parallel_for(std::ssize(pairs), [&](int64_t i, int) {
    const int64_t item = i / std::ssize(sampled);
    const int32_t token = sampled[i % std::ssize(sampled)];
    const HeadCheck check(problem, result, item / shape.heads, item % shape.heads);
    TokenDeviations& to = of_token[i];
    if (pairs[i].in_lists) check.check_row(token, pairs[i].keys, to.out, to.lse);
    if (result.dq.empty()) return;
    check.check_row_gradient(token, pairs[i].keys, to.dq);
    check.check_key_gradient(token, pairs[i].rows, to.dk, to.dv);
  });
  TokenDeviations all;
  for (const TokenDeviations& token : of_token) all.merge(token);
  return {.forward = std::max(all.out.value(), all.lse.value()),
          .backward = std::max({all.dq.value(), all.dk.value(), all.dv.value()})};
}

}  // namespace sparsescope
