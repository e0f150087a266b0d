// What the selections of all methods do to one attention call, all settings of a profile's grids at
// once: the error of a head's output, and how far the output moves along given directions.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/thread_pool.h"
#include "core/token_grid.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"

namespace sparsescope {

// One ladder of one head.
struct LadderSums {
  std::vector<double> error;   // [steps] sum over rows of |out(step) - out|^2
  std::vector<double> change;  // [directions, steps] sum over rows of <direction, out(step) - out>
};

struct HeadEffects {
  double norm = 0.0;              // sum of |out|^2 over the rows of the errors
  int64_t error_rows = 0;         // behind the errors
  LadderSums pooled;              // VSA, [f]
  LadderSums bsa, bsa_unpruned;   // [kappa] with BSA's query selection and restore, and without
  std::vector<LadderSums> top_k;  // [partitions] VMoBA, [k]
  std::vector<LadderSums> thresholds;  // [partitions] VMoBA, [pool, tau]
};

struct EffectRows {
  std::vector<int32_t> error_tiles;   // ascending: query tiles whose errors are measured
  std::vector<int32_t> change_tiles;  // and whose changes are
};

class SelectionEffects {
 public:
  SelectionEffects(const TileShape& tile, std::vector<Partition> partitions, Impl impl,
                   ThreadPool& pool);
  ~SelectionEffects();

  // Of batch entry 0. call.out holds the output that errors and changes are counted from, for
  // errors the dense one. directions: each [H, S, D].
  std::vector<HeadEffects> measure(const AttentionCall& call, const EffectRows& rows,
                                   std::span<const std::vector<float>> directions);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// count of the query tiles, one from each of as many equal runs; all where there are no more.
std::vector<int32_t> sample_tiles(int64_t num_tiles, int64_t count, uint64_t key);

}  // namespace sparsescope
