// Which prompts a tuning run derives from, which it checks plans on, and which it keeps for the
// verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sparsescope {

struct PromptSplit {
  std::vector<int64_t> derive, check, heldout;  // ascending indices of one list
};

// The prompts in an order drawn from the seed: the first are derived from, the next checked on, the
// last ones held out. held_out_apart: they come from a list of their own, so that none is taken.
// Fewer prompts than asked for are shared out in the same proportion. Error(kUsage) for too few: 2
// to derive from and 2 of each other kind.
PromptSplit split_prompts(int64_t num_prompts, int64_t derive, int64_t check, bool held_out_apart,
                          uint64_t seed);

std::string index_list(const std::vector<int64_t>& indices);  // "0,3,5"

}  // namespace sparsescope
