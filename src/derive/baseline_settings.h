// What a baseline may do: a row of settings, of which each is denser than the one before.
//
//   VSA    uniform, published   one K for all; FastVideo has one sparsity, 1 - K / N
//          random, oracle       the same K, tiles chosen otherwise
//   BSA    uniform, published   half of the queries of windows of 2 x 2 x 2, at least 4 key tiles;
//                               kv_keep, which the paper anneals, moves
//   VMoBA  published:topk       partitions 1D, 2D, 3D by turns; one share of the blocks, as 2 of 7,
//                               6 of 24 and 18 of 72 in the training-free runs; pool query_head
//          published:threshold  the same with one tau and pool query_head (0.25 in public files)
//          published:global     the same with pool head_global (0.25 in the paper's training)
//
// VMoBA's uniform plan is no row: all partitions and all that was measured of each compete.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "derive/baselines.h"
#include "derive/method_curves.h"

namespace sparsescope {

struct BaselineSettings {
  std::unique_ptr<MethodCurves> curves;
  Granularity per = Granularity::kModel;  // at least as fine as the settings differ
  // Index of a setting, sparsest to densest.
  int64_t first = 0, last = 0;
  std::function<MethodParams(int64_t layer, int64_t index)> params;
  std::vector<std::string> remarks;
};

BaselineSettings vsa_baseline(const Profile& profile, Baseline baseline);
BaselineSettings bsa_baseline(const Profile& profile);
// Error(kData) where the profile did not measure a partition of each kind.
BaselineSettings vmoba_baseline(const Profile& profile, Baseline baseline);

}  // namespace sparsescope
