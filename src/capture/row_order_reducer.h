// Statistics that need an order over a row's masses or gates, coverage_row and VMoBA's, of the
// sampled rows. Row blocks of which all rows are taken are reduced as they come; a sample is
// collected until 64 rows of a head are there. One object a worker.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "capture/reducers/head_sums.h"
#include "capture/reduction_context.h"
#include "capture/vmoba_reducer.h"

namespace sparsescope {

class RowOrderReducer {
 public:
  // The context must outlive the object.
  explicit RowOrderReducer(const ReductionContext& context);

  // What follows belongs to this head. sums must outlive the next flush.
  void start_head(int64_t head, HeadSums* sums);
  // Of a row block: cell_mass [cells, 64], tile_mass [N, 64], queries [D, 64].
  void add(int64_t block, const float* cell_mass, const float* tile_mass, const float* queries);
  // Adds what is pending to the head's sums.
  void flush();

 private:
  void collect(int64_t block, const float* cell_mass);
  void reduce_collected();
  void add_coverage(const float* tile_mass, int32_t num_rows);

  const ReductionContext& context_;
  std::vector<int32_t> counts_;  // K(f)
  VmobaReducer vmoba_;
  int64_t head_ = 0;
  HeadSums* sums_ = nullptr;

  // Collected rows, and what is reduced of them, a lane each.
  int32_t pending_ = 0;
  std::array<int32_t, kRowLanes> number_{};  // of the sampled rows
  std::vector<float> collected_;             // [64, video cells] masses
  std::vector<float> cell_mass_;             // [video cells, 64]
  std::vector<float> tile_mass_;             // [N, 64] where cells are finer
  std::vector<float> queries_;               // [D, 64]

  std::vector<float> gates_, sorted_, covered_;  // scratch
};

}  // namespace sparsescope
