// Every tensor of a Wan checkpoint with its shape: what loading fetches, `inspect` counts, and the
// test for missing, misshapen and superfluous tensors compares with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/wan_config.h"

namespace sparsescope {

struct WeightSpec {
  std::string name;  // without the block's prefix
  std::vector<int64_t> shape;
  // F32 whatever the compute type: norms, modulation, the timestep's path and the head, as in the
  // original model.
  bool keep_f32 = false;

  int64_t elements() const;
};

using WeightSpecs = std::vector<WeightSpec>;

WeightSpecs wan_outer_specs(const WanConfig& config);  // everything outside the blocks
WeightSpecs wan_block_specs(const WanConfig& config);  // one block, names relative to it
std::string wan_block_prefix(int64_t layer);           // "blocks.3."

// Fetches every tensor once without reading its values: a missing or misshapen one, and one that no
// rule knows, is Error(kData).
void check_wan_tensors(const StateDict& weights, const WanConfig& config);

int64_t wan_parameters(const WanConfig& config);

}  // namespace sparsescope
