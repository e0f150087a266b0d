#include "effects/gate_ladders.h"

#include <algorithm>
#include <numeric>

#include "capture/query_columns.h"
#include "capture/vmoba_rule.h"

namespace sparsescope {

GateLadders::GateLadders(const CallLayout& layout, const AttentionTensor& q,
                         const GateSelection& gates, const RowStatsKernels& kernels)
    : layout_(layout),
      q_(q),
      gates_(gates),
      kernels_(kernels),
      columns_(q.head_dim * kRowLanes),
      code_(layout.partition_blocks * kRowLanes) {}

void GateLadders::load(int64_t head, std::span<const int32_t> rows) {
  head_ = head;
  rows_ = rows;
  std::array<int32_t, kRowLanes> tokens;
  std::transform(rows.begin(), rows.end(), tokens.begin(),
                 [&](int32_t row) { return layout_.sampled.token[row]; });
  load_columns(q_, 0, head, tokens.data(), std::ssize(rows), kernels_, columns_.data());
  loaded_ = gates_.store->compute_rows(head, rows, columns_.data(), scratch_);
  find_gate_codes(layout_, gates_, kernels_, head, rows, loaded_, code_.data());
}

// The own block holds +infinity: it ranks first.
void GateLadders::rank(int64_t partition, int64_t lane) {
  const PartitionLayout& blocks = layout_.partitions[partition];
  const float* gate = loaded_.gate + blocks.first_block * loaded_.stride + lane;
  order_.resize(blocks.blocks);
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](int32_t a, int32_t b) {
    return gate[a * loaded_.stride] > gate[b * loaded_.stride];
  });
}

std::span<const int32_t> GateLadders::top_k(int64_t partition, int64_t lane) {
  rank(partition, lane);
  levels_.resize(order_.size());
  for (int32_t i = 0; i < std::ssize(order_); ++i) levels_[order_[i]] = i;
  return levels_;
}

std::span<const int32_t> GateLadders::thresholds(int64_t partition, int64_t pool, int64_t lane) {
  levels_.resize(layout_.partitions[partition].blocks);
  if (pool == 0) {
    levels_within_query(partition, lane);
  } else {
    levels_of_cuts(partition, pool - 1, lane);
  }
  return levels_;
}

void GateLadders::levels_within_query(int64_t partition, int64_t lane) {
  const PartitionLayout& blocks = layout_.partitions[partition];
  const float* gate = loaded_.gate + blocks.first_block * loaded_.stride + lane;
  const double own = loaded_.own[partition * kRowLanes + lane];
  rank(partition, lane);
  PoolRange range{own, own};
  for (size_t i = 1; i < order_.size(); ++i) {
    range.lo = std::min<double>(range.lo, gate[order_[i] * loaded_.stride]);
    range.hi = std::max<double>(range.hi, gate[order_[i] * loaded_.stride]);
  }
  const auto weight = [&](double value) { return (value - range.lo) / range.width(); };
  double total = weight(own);
  for (size_t i = 1; i < order_.size(); ++i) {
    total += weight(gate[order_[i] * loaded_.stride]);
  }
  levels_[order_[0]] = 0;
  double before = 0.0;
  int64_t tau = 0;
  for (size_t i = 1; i < order_.size(); ++i) {
    // The best other block is always kept; the next where those before it do not yet reach tau.
    while (i > 1 && tau < kNumTaus && before >= needed_weight(kTaus[tau], weight(own), total)) {
      ++tau;
    }
    levels_[order_[i]] = static_cast<int32_t>(tau);
    before += weight(gate[order_[i] * loaded_.stride]);
  }
}

// An entry of code n is kept by the n weakest cuts.
void GateLadders::levels_of_cuts(int64_t partition, int64_t pool, int64_t lane) {
  const PartitionLayout& blocks = layout_.partitions[partition];
  for (int64_t c = 0; c < blocks.blocks; ++c) {
    const int64_t block = blocks.first_block + c;
    const uint8_t code = code_[block * kRowLanes + lane];
    if (code >= kNumCuts) {  // the own block has the code of none
      levels_[c] = 0;
      continue;
    }
    const CutOrder& order = gates_.orders[head_ * layout_.partition_blocks + block];
    const auto kept = std::count_if(order.begin(), order.begin() + code,
                                    [&](uint8_t curve) { return curve / kNumTaus == pool; });
    levels_[c] = static_cast<int32_t>(kNumTaus - kept);
  }
}

}  // namespace sparsescope
