#include "arch/launch.h"
#include "kernels/cuda/block_scan.cuh"
#include "kernels/cuda/strand_lists.h"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kPerThread = 4;  // neighbours whose loads are under way together

struct ByHead {
  int32_t heads;

  __device__ bool holds(const SparseSelection&, const SparseStrand& strand, int32_t list) const {
    return strand.batch * heads + strand.head == list;
  }
};

struct ByHeight {
  int32_t heads, first_head, num_heads;

  __device__ bool holds(const SparseSelection& selection, const SparseStrand& strand,
                        int32_t list) const {
    const int32_t head = strand.batch * heads + strand.head - first_head;
    return head >= 0 && head < num_heads && height(selection, strand) == list;
  }

  __device__ static TileHeight height(const SparseSelection& selection,
                                      const SparseStrand& strand) {
    if (strand.merges) return kRows128;  // many items, of all heights
    const SparseItem* items = selection.items + strand.first_item;
    TileHeight height = kRows32;
    for (int32_t i = 0; i < strand.num_items; ++i) {
      if (i + 1 < strand.num_items && are_pair(items[i], items[i + 1])) return kRows128;
      if (items[i].num_rows > 32) height = kRows64;
    }
    return height;
  }
};

// A block writes one list.
template <typename List>
__global__ void __launch_bounds__(kThreads)
    list_strands_kernel(const __grid_constant__ SparseSelection selection, const List list,
                        int32_t* strands, int32_t* counts) {
  const auto number = static_cast<int32_t>(blockIdx.x);
  int32_t* mine = strands + number * selection.num_strands;
  int32_t count = 0;
  for (int64_t first = 0; first < selection.num_strands; first += kThreads * kPerThread) {
    const int64_t begin = first + int64_t{threadIdx.x} * kPerThread;
    uint32_t held = 0;
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) {
      const int64_t i = begin + j;
      const bool holds =
          i < selection.num_strands && list.holds(selection, selection.strands[i], number);
      held |= (holds ? 1u : 0u) << j;
    }
    int32_t found;
    int32_t place =
        count + block_exclusive_sum<kThreads>(static_cast<int32_t>(__popc(held)), found);
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) {
      if ((held >> j & 1) != 0) mine[place++] = static_cast<int32_t>(begin + j);
    }
    count += found;
  }
  if (threadIdx.x == 0) counts[number] = count;
}

template <typename List>
void list_strands(const SparseSelection& selection, const List& list, int32_t num_lists,
                  int32_t* strands, int32_t* counts, cudaStream_t stream) {
  launch(list_strands_kernel<List>, {.grid = dim3(num_lists), .block = dim3(kThreads)}, stream,
         selection, list, strands, counts);
}

}  // namespace

void list_strands_by_height(const SparseSelection& selection, int32_t heads, int32_t first_head,
                            int32_t num_heads, int32_t* strands, int32_t* counts,
                            cudaStream_t stream) {
  list_strands(selection, ByHeight{heads, first_head, num_heads}, kNumHeights, strands, counts,
               stream);
}

void list_strands_by_head(const SparseSelection& selection, int32_t heads, int32_t num_heads,
                          int32_t* strands, int32_t* counts, cudaStream_t stream) {
  list_strands(selection, ByHead{heads}, num_heads, strands, counts, stream);
}

}  // namespace sparsescope::cuda
