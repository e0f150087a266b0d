// Finished query tiles of one head, a tile a lane: the statistics of tile masses M[i,:] and pooled
// scores Z[i,:] run on 64 tiles at a time.
#pragma once

#include <span>
#include <vector>

#include "capture/call_layout.h"
#include "capture/reducers/head_sums.h"
#include "kernels/row_stats.h"

namespace sparsescope {

class TileBatch {
 public:
  TileBatch(const CallLayout& layout, int64_t head_dim, const RowStatsKernels& kernels);

  // What follows belongs to this head. key_means [N, D] and sums must outlive the next flush.
  void start_head(const float* key_means, HeadSums* sums);
  // scaled_query_mean [D]: mean query times the softmax scale; mass [N]: M[i,:].
  void add(std::span<const float> scaled_query_mean, std::span<const float> mass, float tile_size);
  // Adds what is pending to the head's sums.
  void flush();

 private:
  void add_coverages();
  void add_moments_and_bsa();

  const CallLayout& layout_;
  const RowStatsKernels& kernels_;
  int64_t num_tiles_, head_dim_;
  std::vector<int32_t> counts_;  // K(f)
  std::vector<double> cuts_;     // [kappa] cut-off in deviations
  const float* key_means_ = nullptr;
  HeadSums* sums_ = nullptr;
  int64_t pending_ = 0;
  std::vector<float> query_means_;  // [D, 64]
  std::vector<float> mass_;         // [N, 64]
  std::vector<float> weight_;       // [64] n_i; 0 in idle lanes
  std::vector<float> scores_;       // [N, 64] Z
  std::vector<float> sorted_;       // [sort_rows(N), 64] scratch
  std::vector<int32_t> index_;      // [sort_rows(N), 64] tiles by score
  std::vector<float> ranked_mass_;  // [N, 64] mass in the order of index_
  std::vector<float> covered_;      // [12, 64] scratch
};

}  // namespace sparsescope
