// Runs of the CUDA sparse kernels for the tests, and the lists that these run on.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention_case.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/sparse_call.h"

namespace sparsescope::testing {

// Lists copied to the device.
class ListsOnDevice {
 public:
  explicit ListsOnDevice(const Lists& lists);
  SparseSelection view() const { return view_; }

 private:
  cuda::DeviceBuffer<int32_t> key_order_, rows_, range_ids_;
  cuda::DeviceBuffer<KeyRange> ranges_;
  cuda::DeviceBuffer<SparseItem> items_;
  cuda::DeviceBuffer<SparseStrand> strands_;
  SparseSelection view_;
};

// Where q, k, v, the lists and the results lie.
SparseResult run_cuda_sparse(const Problem& problem, const Lists& lists,
                             MemorySpace space = MemorySpace::kHost,
                             int64_t wave_bytes = cuda::kWaveBytes,
                             cuda::Body body = cuda::Body::kSm80, const RowCopies& copies = {});

struct Gradients {
  std::vector<float> dq, dk, dv;  // [B, H, S, D], kUntouched where no row was written
};

// d_out [B, H, S, D] with outliers, of the problem's element type.
std::vector<uint8_t> draw_d_out(const Problem& problem);

Gradients run_reference_backward(const Problem& problem, const Lists& lists,
                                 const std::vector<uint8_t>& d_out);
struct BackwardKernels {
  cuda::Body body = cuda::Body::kSm80;
  bool deterministic = false;
};
// forward: out and lse of the same lists.
Gradients run_cuda_backward(const Problem& problem, const Lists& lists, const SparseResult& forward,
                            const std::vector<uint8_t>& d_out, BackwardKernels kernels,
                            MemorySpace space = MemorySpace::kHost,
                            int64_t wave_bytes = cuda::kWaveBytes);

std::vector<int32_t> rows_of(const Problem& problem, const RowBlock& block);

// Every row block against a random subset of the cells, now and then none, in items of every number
// of rows from 1 to 64; one strand a block.
Lists tile_lists(const Problem& problem);

// The same in items of 1 to 32 rows, every other one of 32 where there are as many.
Lists short_lists(const Problem& problem);

// BSA's form: of every row block the tokens with even numbers, in items of up to 32 rows; the
// others take the output of one of these.
struct KeptLists {
  Lists lists;
  std::vector<int32_t> first_copy{0}, copy_tokens;

  RowCopies copies() const;
  // What copies make of a result of the lists.
  SparseResult restored(const Problem& problem, const SparseResult& kept) const;
};
KeptLists kept_lists(const Problem& problem);

// VMoBA's form: per head a strand of items, each of two cells and rows that chose the pair, in any
// number; every fifth row is in no item, some are in an item without cells only.
Lists merged_lists(const Problem& problem);
// The same rows and keys, a strand for every row.
Lists unmerged_lists(const Problem& problem);

}  // namespace sparsescope::testing
