// All raw sums of one head at one attention call. Two halves of the rows merge into the whole.
#pragma once

#include <vector>

#include "capture/call_layout.h"
#include "capture/reducers/axis_pairs.h"
#include "capture/reducers/cosine_histogram.h"
#include "capture/reducers/mean_curve.h"
#include "capture/reducers/offset_mass.h"
#include "capture/statistic_grids.h"

namespace sparsescope {

// VMoBA's rules in the order of the profile's pool axis.
inline constexpr int64_t kGatePools = 4;

// One partition: density and recall of every k, and of every pool and tau.
struct VmobaSums {
  explicit VmobaSums(int64_t blocks);
  void merge(const VmobaSums& other);

  MeanCurve density_topk, recall_topk;  // [k] over the sampled rows, as those that follow
  MeanCurve density_tau, recall_tau;    // [pool, tau]
};

struct HeadSums {
  explicit HeadSums(const CallLayout& layout);
  void merge(const HeadSums& other);

  MeanCurve coverage_row;     // [f] over the sampled rows
  MeanCurve coverage_tile;    // [f] over query tiles by size, as those that follow
  MeanCurve coverage_pooled;  // [f]
  MeanCurve key_mass;         // [N]
  MeanCurve bsa_density;      // [kappa]
  MeanCurve bsa_recall;       // [kappa]
  MeanCurve score_moments;    // [4] over query tiles, unweighted
  MeanCurve entropy;          // [1] over rows, as those that follow
  MeanCurve text_mass;        // [1]
  MeanCurve row_overlap;      // [1]
  AxisPairs pairs_t, pairs_h, pairs_w;
  OffsetMass offset_mass;
  CosineHistogram query_cosine;
  std::vector<VmobaSums> vmoba;  // [partitions]
};

}  // namespace sparsescope
