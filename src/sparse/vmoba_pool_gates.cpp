#include "sparse/vmoba_pool_gates.h"

#include <limits>
#include <utility>

namespace sparsescope {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

PoolGates::PoolGates(const VmobaGates& gates, std::vector<int64_t> planes, int64_t first,
                     int64_t last, int64_t cache_bytes, ThreadPool& pool)
    : gates_(gates), planes_(std::move(planes)), first_(first), last_(last), pool_(pool) {
  scratch_.resize(pool.size());
  own_.resize(num_planes() * gates_.num_rows());
  const int64_t entries = num_items() * entries_of_item();
  cached_ = entries * static_cast<int64_t>(sizeof(float)) <= cache_bytes;
  if (cached_) cache_.resize(entries);
  for_each_item([&](int64_t item, int worker) {
    float* to = cached_ ? &cache_[item * entries_of_item()] : buffer(worker);
    compute(item, worker, to, &own_[item / gates_.num_words() * gates_.num_rows()]);
  });
}

const float* PoolGates::read(int64_t item, int worker) {
  if (cached_) return &cache_[item * entries_of_item()];
  compute(item, worker, buffer(worker), nullptr);
  return buffer(worker);
}

float* PoolGates::buffer(int worker) {
  scratch_[worker].gates.resize(entries_of_item());
  return scratch_[worker].gates.data();
}

void PoolGates::compute(int64_t item, int worker, float* gate, float* own) {
  const int64_t word = item % gates_.num_words();
  gates_.compute(planes_[item / gates_.num_words()], word, first_, last_, scratch_[worker].columns,
                 gate);
  const int32_t* own_block = gates_.own_blocks(word);
  const int32_t lanes = gates_.lanes(word);
  for (int32_t lane = 0; lane < lanes; ++lane) {
    if (own_block[lane] < first_ || own_block[lane] >= last_) continue;
    float& value = gate[(own_block[lane] - first_) * kRowLanes + lane];
    if (own != nullptr) own[word * kRowLanes + lane] = value;
    value = kInfinity;
  }
  for (int64_t c = 0; lanes < kRowLanes && c < last_ - first_; ++c) {
    std::fill(gate + c * kRowLanes + lanes, gate + (c + 1) * kRowLanes, kInfinity);
  }
}

}  // namespace sparsescope
