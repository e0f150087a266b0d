// Each sparse method at a few densities: what attention and a whole forward pass cost, and the
// speed-up that no implementation of these operations beats, at equal FLOP/s.
#pragma once

#include <string>
#include <vector>

#include "core/token_grid.h"
#include "model/cost.h"
#include "model/cost_attention.h"

namespace sparsescope {

struct MethodCost {
  std::string method;  // "dense", "vsa", "bsa", "vmoba"
  double density = 1;
  double blocks = 0;             // tiles N; VMoBA: mean over its partitions; dense: 0
  std::string partitions;        // VMoBA's
  AttentionCost attention;       // of all layers and heads
  double forward_flops = 0;      // with the rest of the transformer
  double attention_speedup = 1;  // dense over sparse FLOPs, selection included
  double forward_speedup = 1;
};

// Dense first, then by method and density; those too low for one block of a row are left out.
// Tiles of 4,4,4; VSA with its coarse branch where shape has a gate; BSA with half of the queries
// kept; VMoBA as released, layers in turn by a default partition of each kind: the coarsest of
// which one block is no more than the density, else the finest.
std::vector<MethodCost> method_costs(const TransformerShape& shape, const TokenGrid& grid,
                                     const std::vector<double>& densities = {0.5, 0.25, 0.125,
                                                                             0.0625});

}  // namespace sparsescope
