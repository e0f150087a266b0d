#include "sparse/vmoba_cut.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace sparsescope {
namespace {

constexpr int kDigitBits = 11;  // 2^kDigitBits = kDigitPlaces
static_assert(kDigitPlaces == 1 << kDigitBits);
// First digits from here on belong to infinity and NaN, which are no entries.
constexpr int64_t kFinitePlaces = 0xff800000U >> (32 - kDigitBits);

float float_of_key(uint32_t key) {
  return std::bit_cast<float>((key >> 31) != 0 ? key & 0x7fffffffU : ~key);
}

}  // namespace

CutSearch::CutSearch(const RowStatsKernels& kernels, int workers)
    : kernels_(kernels), sums_(workers) {}

PoolCut CutSearch::best(const GateScan& scan, int64_t count) {
  if (count == 0) return {};
  const GateSteps none;  // entries weigh 1
  const int64_t entries = start(scan, none, 1);
  return count < entries ? finish(scan, none, count) : PoolCut::everything();
}

PoolCut CutSearch::by_threshold(const GateScan& scan, const GateSteps& steps, double threshold,
                                int64_t own, int64_t fallback) {
  const int64_t others = start(scan, steps, 0);
  const int64_t target = steps.target(threshold, own, own + others);
  if (target == 0) return best(scan, 1);
  return target <= others ? finish(scan, steps, target) : best(scan, fallback);
}

int64_t CutSearch::start(const GateScan& scan, const GateSteps& steps, int32_t least) {
  digit_ = {.shift = 32 - kDigitBits,
            .bits = kDigitBits,
            .lo = steps.lo,
            .scale = steps.scale,
            .least = least};
  add_digit(scan);
  std::vector<int64_t>& sums = sums_[0];
  std::fill(sums.begin() + kFinitePlaces, sums.end(), int64_t{0});
  return std::accumulate(sums.begin(), sums.end(), int64_t{0});
}

PoolCut CutSearch::finish(const GateScan& scan, const GateSteps& steps, int64_t target) {
  while (true) {
    const std::vector<int64_t>& sums = sums_[0];
    auto place = static_cast<uint32_t>(kDigitPlaces - 1);
    for (; place > 0 && sums[place] < target; --place) target -= sums[place];
    digit_.prefix = digit_.prefix << digit_.bits | place;
    if (digit_.shift == 0) break;
    digit_.bits = std::min(kDigitBits, digit_.shift);
    digit_.shift -= digit_.bits;
    add_digit(scan);
  }
  const float gate = float_of_key(digit_.prefix);
  const int64_t weight = std::max<int64_t>(1, steps.weight(gate) + digit_.least);
  return {gate, (target + weight - 1) / weight};
}

// Leaves the sums of all workers in sums_[0].
void CutSearch::add_digit(const GateScan& scan) {
  for (std::vector<int64_t>& sums : sums_) sums.assign(2 * kDigitPlaces, 0);
  scan([&](const float* gates, int64_t count, int worker) {
    kernels_.digit_sums(gates, count, digit_, sums_[worker].data());
  });
  std::vector<int64_t>& total = sums_[0];
  const auto add = [&](const int64_t* more) {
    for (int64_t i = 0; i < kDigitPlaces; ++i) total[i] += more[i];
  };
  add(&total[kDigitPlaces]);
  for (size_t worker = 1; worker < sums_.size(); ++worker) {
    add(sums_[worker].data());
    add(&sums_[worker][kDigitPlaces]);
  }
  std::fill(total.begin() + kDigitPlaces, total.end(), int64_t{0});
}

}  // namespace sparsescope
