#include "sparse/vmoba_gates.h"

#include <algorithm>

#include "capture/query_columns.h"

namespace sparsescope {

VmobaGates::VmobaGates(const AttentionTensor& q, const AttentionTensor& k,
                       std::span<const int64_t> heads, const TokenLayout& layout,
                       const RowStatsKernels& kernels, ThreadPool& pool)
    : q_(q),
      heads_(heads),
      layout_(layout),
      kernels_(kernels),
      own_block_(blocks_of_positions(layout)) {
  find_means(k, pool);
}

// Sums run in fp64: blocks hold thousands of tokens.
void VmobaGates::find_means(const AttentionTensor& k, ThreadPool& pool) {
  const int64_t head_dim = q_.head_dim;
  means_.resize(num_planes() * num_blocks() * head_dim);
  pool.parallel_for(num_planes() * num_blocks(), [&](int64_t item, int) {
    const int64_t plane = item / num_blocks();
    std::span<const int32_t> tokens = layout_.tokens_of(item % num_blocks());
    const auto count = static_cast<double>(tokens.size());
    RowPointers rows;
    std::vector<double> sums(head_dim);
    while (!tokens.empty()) {
      const auto run = tokens.first(std::min<size_t>(tokens.size(), kRowLanes));
      const auto run_rows = static_cast<int64_t>(run.size());
      kernels_.add_rows(rows.load(k, plane / num_heads(), heads_[plane % num_heads()], run.data(),
                                  run_rows, kernels_),
                        run_rows, head_dim, sums.data());
      tokens = tokens.subspan(run.size());
    }
    std::transform(sums.begin(), sums.end(), means_.begin() + item * head_dim,
                   [count](double sum) { return static_cast<float>(sum / count); });
  });
}

int32_t VmobaGates::lanes(int64_t word) const {
  return static_cast<int32_t>(std::min<int64_t>(kRowLanes, num_rows() - word * kRowLanes));
}

void VmobaGates::compute(int64_t plane, int64_t word, int64_t first, int64_t last,
                         std::vector<float>& scratch, float* gates) const {
  const int64_t head_dim = q_.head_dim;
  scratch.resize(head_dim * kRowLanes);  // [D, 64]
  load_columns(q_, plane / num_heads(), heads_[plane % num_heads()],
               &layout_.order[word * kRowLanes], lanes(word), kernels_, scratch.data());
  kernels_.products(&means_[(plane * num_blocks() + first) * head_dim], last - first, head_dim,
                    scratch.data(), gates, kRowLanes);
}

}  // namespace sparsescope
