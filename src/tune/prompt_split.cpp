#include "tune/prompt_split.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"

namespace sparsescope {
namespace {

// Keeps the split apart from other users of the same seed.
constexpr uint64_t kSplitKey = 0x73706c6974ull;  // "split"
constexpr int64_t kFewest = 2;                   // of each kind: fewer have no spread

std::vector<int64_t> drawn_order(int64_t count, uint64_t seed) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const uint64_t key = combine_key(seed, kSplitKey);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return combine_key(key, static_cast<uint64_t>(a)) < combine_key(key, static_cast<uint64_t>(b));
  });
  return order;
}

std::vector<int64_t> sorted(std::vector<int64_t> indices) {
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace

PromptSplit split_prompts(int64_t num_prompts, int64_t derive, int64_t check, bool held_out_apart,
                          uint64_t seed) {
  const int64_t kinds = held_out_apart ? 2 : 3;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, num_prompts >= kinds * kFewest,
                    "--prompts: expected at least {} prompts{}, found {}", kinds * kFewest,
                    held_out_apart ? "" : " (without --heldout some are kept for the verdict)",
                    num_prompts);
  const int64_t heldout = held_out_apart ? 0 : std::max(kFewest, num_prompts / 4);
  const int64_t rest = num_prompts - heldout;
  if (derive + check > rest) {
    check = std::clamp(rest * check / (derive + check), kFewest, rest - kFewest);
    derive = rest - check;
  }
  const std::vector<int64_t> order = drawn_order(num_prompts, seed);
  const auto first = order.begin();
  return {.derive = sorted({first, first + derive}),
          .check = sorted({first + derive, first + derive + check}),
          .heldout = sorted({order.end() - heldout, order.end()})};
}

std::string index_list(const std::vector<int64_t>& indices) {
  return fmt::format("{}", fmt::join(indices, ","));
}

}  // namespace sparsescope
