#include <type_traits>

#include "arch/launch.h"
#include "kernels/cuda/select_gates.cuh"
#include "kernels/cuda/select_rows.h"

namespace sparsescope::cuda {
namespace {

constexpr int kWarps = 4;

struct TopKRule {
  const int32_t* top_k;
  template <int kPerLane>
  __device__ RowCut cut(WarpRow<kPerLane>& row, int32_t plane, int32_t, int32_t, int) const {
    return row.best(top_k[plane]);
  }
};

struct GaussianRules {
  const GaussianRule* rules;

  template <int kPerLane>
  __device__ RowCut cut(WarpRow<kPerLane>& row, int32_t plane, int32_t num_tiles, int32_t,
                        int) const {
    const GaussianRule rule = rules[plane];
    uint32_t least = 0xffffffffu, largest = kNoEntry;
    double sum = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (row.key[i] == kNoEntry) continue;
      least = min(least, row.key[i]);
      largest = max(largest, row.key[i]);
      sum += static_cast<double>(score_of(row.key[i]));
    }
    if (rule.z == -INFINITY || ~warp_max(~least) == warp_max(largest)) return {kNoEntry, 0};
    const double mean = warp_sum(sum) / num_tiles;
    double squares = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (row.key[i] == kNoEntry) continue;
      const double difference = static_cast<double>(score_of(row.key[i])) - mean;
      squares += difference * difference;
    }
    const double deviation = sqrt(warp_sum(squares) / num_tiles);
    const double cutoff = __dadd_rn(mean, __dmul_rn(deviation, rule.z));
    const uint32_t bound = key_not_below(cutoff);
    const int32_t marked = row.template sum_from<int32_t>(bound, [](uint32_t) { return 1; });
    if (marked < rule.least) return row.best(rule.least);
    return {bound - 1, 0};
  }

  // The least key of a score that is not below the cut-off; the largest one where that is no
  // number.
  __device__ static uint32_t key_not_below(double cutoff) {
    if (!(cutoff <= static_cast<double>(score_of(0xff7fffffu)))) return 0xffffffffu;
    const float nearest = static_cast<float>(cutoff);
    return static_cast<double>(nearest) >= cutoff ? key_of(nearest) : key_of(nearest) + 1;
  }
};

struct QueryGates {
  const int32_t* own;
  QueryGateRule rule;

  template <int kPerLane>
  __device__ RowCut cut(WarpRow<kPerLane>& row, int32_t, int32_t num_tiles, int32_t row_idx,
                        int lane) const {
    const uint32_t own_key = take_out(row, own[row_idx], lane);
    if (num_tiles == 1) return {};
    if (rule.top_k > 0) return row.best(rule.top_k - 1);
    uint32_t least = own_key, largest = own_key;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (row.key[i] == kNoEntry) continue;
      least = min(least, row.key[i]);
      largest = max(largest, row.key[i]);
    }
    const GateSteps steps(score_of(~warp_max(~least)), score_of(warp_max(largest)));
    const auto weight_of = [&](uint32_t key) { return steps.weight(score_of(key)); };
    const int64_t others = row.template sum_from<int64_t>(kNoEntry + 1, weight_of);
    const int64_t own_weight = weight_of(own_key);
    const int64_t target = steps.target(rule.threshold, own_weight, own_weight + others);
    if (target == 0) return row.best(1);
    if (target > others) return {kNoEntry, 0};
    return row.template cut_at<int64_t>(target, weight_of);
  }

  // The own block competes with nothing. Returns its key in every lane.
  template <int kPerLane>
  __device__ static uint32_t take_out(WarpRow<kPerLane>& row, int32_t block, int lane) {
    uint32_t key = kNoEntry;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (32 * i + lane != block) continue;
      key = row.key[i];
      row.key[i] = kNoEntry;
    }
    return warp_max(key);
  }
};

// A warp a row.
template <int kPerLane, typename Rule>
__global__ void __launch_bounds__(32 * kWarps, 2)
    select_rows_kernel(const ScoreRows call, int64_t stride, int32_t words, const Rule rule,
                       const int32_t* own) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int32_t row_idx = static_cast<int32_t>(blockIdx.x) * kWarps + warp;
  const auto plane = static_cast<int32_t>(blockIdx.y);
  if (row_idx >= call.num_rows) return;
  WarpRow<kPerLane> row;
  row.load(call.scores + (int64_t{plane} * call.num_rows + row_idx) * stride, call.num_tiles, lane);
  const RowCut cut = rule.cut(row, plane, call.num_tiles, row_idx, lane);
  const int32_t own_block = own == nullptr ? -1 : own[row_idx];
  uint32_t* mask = call.mask + (plane * call.mask_stride + row_idx) * words;
  int32_t count = 0;
  row.select(cut, words, [&](int i, uint32_t bits) {
    if (own_block / 32 == i && own_block >= 0) bits |= 1u << own_block % 32;
    if (lane == 0) mask[i] = bits;
    count += __popc(bits);
  });
  if (call.counts != nullptr && lane == 0) {
    call.counts[int64_t{plane} * call.num_rows + row_idx] = count;
  }
}

template <typename Rule>
void run(const ScoreRows& rows, const Rule& rule, const int32_t* own) {
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>((rows.num_rows + kWarps - 1) / kWarps),
                                       static_cast<unsigned>(rows.num_planes)),
                          .block = dim3(32 * kWarps)};
  const auto start = [&]<int kPerLane> {
    launch(select_rows_kernel<kPerLane, Rule>, shape, nullptr, rows, score_stride(rows.num_tiles),
           mask_words(rows.num_tiles), rule, own);
  };
  if (rows.num_tiles <= 4 * 32) return start.template operator()<4>();
  if (rows.num_tiles <= 16 * 32) return start.template operator()<16>();
  if (rows.num_tiles <= 24 * 32) return start.template operator()<24>();
  if (rows.num_tiles <= kMaxQueryBlocks) return start.template operator()<kMaxQueryBlocks / 32>();
  if constexpr (!std::is_same_v<Rule, QueryGates>) {
    start.template operator()<kMaxSelectTiles / 32>();
  }
}

}  // namespace

void select_top_k(const ScoreRows& rows, const int32_t* top_k) {
  run(rows, TopKRule{top_k}, nullptr);
}
void select_gaussian(const ScoreRows& rows, const GaussianRule* rules) {
  run(rows, GaussianRules{rules}, nullptr);
}
void select_query_gates(const ScoreRows& rows, const int32_t* own, const QueryGateRule& rule) {
  run(rows, QueryGates{own, rule}, own);
}

}  // namespace sparsescope::cuda
