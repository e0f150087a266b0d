// The sparse runs of a benchmark: which settings come near a density, and one setting ready to run,
// its selection apart from its kernel.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "kernels/impl.h"
#include "model/attention_hook.h"
#include "plan/plan.h"
#include "sparse/selection.h"
#include "sparse/token_layout.h"

namespace sparsescope {

struct SparseSetting {
  std::string method;      // "random", "vsa", "bsa", "vmoba"
  std::string parameters;  // "top-k 8", "st:4,4,4 top-k 6"
  double wanted_density = 0;
  std::optional<MethodParams> params;  // none: random lists
};

// Random lists and VSA keep K(f) tiles; BSA half of the queries and twice the density of the keys;
// VMoBA the count of blocks nearest to the density.
SparseSetting random_setting(double density, int64_t num_tiles);
SparseSetting vsa_setting(double density, int64_t num_tiles);
SparseSetting bsa_setting(double density);
SparseSetting published_bsa_setting();  // query 0.5, kv 0.1
SparseSetting vmoba_setting(double density, const Partition& partition, const TokenGrid& grid);

// The threshold, over the pool of a head, whose density comes nearest: found by bisection.
SparseSetting vmoba_threshold_setting(double density, const Partition& partition,
                                      const AttentionCall& call, Impl impl, ThreadPool& pool);

// Of the candidates of `--partitions auto`: the coarsest 3D one of at least 32 blocks, else the
// finest; a grid without 3D candidates takes the other kinds; none at all: nothing.
std::optional<Partition> benchmark_partition(const TokenGrid& grid);

class SparseCase {
 public:
  // call's tensors must outlive this. Random lists are drawn from the seed, the same number of
  // tiles for every query tile.
  SparseCase(const AttentionCall& call, const TileShape& tile, SparseSetting setting, uint64_t seed,
             Impl impl, ThreadPool& pool);
  ~SparseCase();

  const SparseSetting& setting() const;
  bool selects() const;                      // false: random lists, which cost nothing
  void select();                             // anew; the same result every time
  RowCopies copies() const;                  // BSA on a GPU: pruned queries, by the kernel
  void restore(MutableAttentionTensor out);  // BSA: the same where it is a step of its own
  SparseSelection lists() const;             // where the call's tensors lie
  BlockLists host_lists() const;
  double density() const;  // mean over heads

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope
