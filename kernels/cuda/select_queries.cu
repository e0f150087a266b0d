#include <cmath>
#include <type_traits>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/select_queries.h"
#include "kernels/cuda/select_query_rows.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = kQueryThreads, kWarps = kQueryWarps;
constexpr int kMeanRows = 64;  // of a sum in fp32

// What competes with a slot, and how.
struct Rank {
  int32_t window;
  uint32_t key;  // of minus the cosine to the reference
};

struct TileShared {
  Rank* rank;                       // [max_slots]
  int32_t* place;                   // [max_slots] among the kept, or ~ among the pruned
  int32_t* kept;                    // [max_slots] slots, ascending
  int32_t* pruned;                  // [max_slots] the same
  int32_t* source;                  // [max_slots] of each pruned slot among the kept
  static constexpr int kWords = 6;  // of a slot

  __device__ TileShared(unsigned char* memory, int32_t max_slots) {
    rank = reinterpret_cast<Rank*>(memory);
    place = reinterpret_cast<int32_t*>(rank + max_slots);
    kept = place + max_slots;
    pruned = kept + max_slots;
    source = pruned + max_slots;
  }
  static constexpr int64_t bytes(int32_t max_slots) {
    constexpr int64_t kUnit = 16;  // of what stands behind
    return (int64_t{max_slots} * kWords * int64_t{sizeof(int32_t)} + kUnit - 1) / kUnit * kUnit;
  }
};

template <typename Rows>
class TileQueries {
 public:
  using Source = typename Rows::Source;

  __device__ TileQueries(const SourceRows<Source>& q, const QuerySelect& call, int32_t rows_at,
                         int32_t dim)
      : call_(call),
        shared_(dynamic_shared(), call.max_slots),
        range_(call.layout.ranges[blockIdx.x]),
        tokens_(call.layout.order + range_.first),
        slots_(call.slots + call.shape_of_tile[blockIdx.x] * call.max_slots),
        rows_(dynamic_shared() + rows_at,
              {q.head(call.planes.heads[blockIdx.y]), q.stride_token, tokens_, range_.count},
              q.head_dim, dim),
        head_dim_(q.head_dim),
        dim_(dim),
        thread_(static_cast<int>(threadIdx.x)) {
    first_kept_ = call.first_kept[blockIdx.x];
    num_kept_ = call.first_kept[blockIdx.x + 1] - first_kept_;
  }

  __device__ void run() {
    rows_.load();
    rows_.cosines([&](int32_t slot) { return slots_[slot].reference; },
                  [&](int32_t slot, float cosine) {
                    const QuerySlot mine = slots_[slot];
                    const bool forced = call_.keep_reference && slot == mine.reference;
                    shared_.rank[slot] = {mine.window, key_of(forced ? INFINITY : -cosine)};
                  });
    __syncthreads();
    mark_kept();
    __syncthreads();
    if (thread_ < 32) list_slots();
    __syncthreads();
    write_rows();
    write_means();
    find_sources();
    __syncthreads();
    write_sources();
    if (call_.first_copy != nullptr) write_copies();
  }

 private:
  __device__ int32_t num_slots() const { return range_.count; }
  __device__ int32_t num_pruned() const { return range_.count - num_kept_; }

  // Of each window its quota, the least similar slots first. Two threads a slot.
  __device__ void mark_kept() {
    const int half = thread_ % 2;
    for (int32_t first = thread_ / 32 * 16; first < num_slots(); first += kThreads / 2) {
      const int32_t slot = first + thread_ % 32 / 2;
      const bool present = slot < num_slots();
      const Rank mine = present ? shared_.rank[slot] : Rank{};
      int32_t before = 0;
      for (int32_t other = half; other < num_slots(); other += 2) {
        const Rank rank = shared_.rank[other];
        const bool stands_before = rank.key > mine.key || (rank.key == mine.key && other < slot);
        before += rank.window == mine.window && stands_before ? 1 : 0;
      }
      before += __shfl_xor_sync(kAllLanes, before, 1);
      if (present && half == 0) shared_.place[slot] = before < slots_[slot].quota ? 0 : -1;
    }
  }

  // By one warp.
  __device__ void list_slots() {
    int32_t kept = 0, pruned = 0;
    const uint32_t below = (1u << thread_) - 1;
    for (int32_t first = 0; first < num_slots(); first += 32) {
      const int32_t slot = first + thread_;
      const bool present = slot < num_slots();
      const bool keep = present && shared_.place[slot] == 0;
      const uint32_t keep_bits = __ballot_sync(kAllLanes, keep);
      const uint32_t prune_bits = __ballot_sync(kAllLanes, present && !keep);
      const int32_t kept_at = kept + __popc(keep_bits & below);
      const int32_t pruned_at = pruned + __popc(prune_bits & below);
      if (keep) shared_.kept[kept_at] = slot;
      if (present && !keep) shared_.pruned[pruned_at] = slot;
      if (present) shared_.place[slot] = keep ? kept_at : ~pruned_at;
      kept += __popc(keep_bits);
      pruned += __popc(prune_bits);
    }
  }

  __device__ void write_rows() const {
    int32_t* rows = call_.rows + int64_t{blockIdx.y} * call_.kept_queries + first_kept_;
    for (int32_t i = thread_; i < num_kept_; i += kThreads) rows[i] = tokens_[shared_.kept[i]];
  }

  __device__ void write_means() const {
    float* mean = call_.means + (int64_t{blockIdx.y} * call_.layout.num_tiles + blockIdx.x) * dim_;
    for (int32_t d = thread_; d < dim_; d += kThreads) {
      double total = 0;
      for (int32_t first = 0; d < head_dim_ && first < num_kept_; first += kMeanRows) {
        const int32_t last = min(num_kept_, first + kMeanRows);
        float sum = 0;
#pragma unroll 8
        for (int32_t i = first; i < last; ++i) sum += rows_.value(shared_.kept[i], d);
        total += static_cast<double>(sum);
      }
      mean[d] = static_cast<float>(total / num_kept_);
    }
  }

  __device__ void find_sources() {
    if (call_.restore == RestoreRule::kSimilar) {
      for (int32_t first = 0; first < num_pruned(); first += 32) most_similar(first);
      return;
    }
    for (int32_t i = thread_; i < num_pruned(); i += kThreads) {
      const int32_t slot = shared_.pruned[i];
      if (call_.restore == RestoreRule::kCentre) {
        shared_.source[i] = shared_.place[slots_[slot].reference];
      }
      if (call_.restore == RestoreRule::kNearest) shared_.source[i] = nearest(slot);
    }
  }

  __device__ int32_t nearest(int32_t slot) const {
    int32_t best = 0;
    for (int32_t i = 1; i < num_kept_; ++i) {
      if (abs(shared_.kept[i] - slot) < abs(shared_.kept[best] - slot)) best = i;
    }
    return best;
  }

  // The kept slot with the largest cosine to each of 32 pruned ones, a lane each; the warps share
  // out the kept slots.
  __device__ void most_similar(int32_t first) {
    __shared__ float best_of_warp[kWarps][32];
    __shared__ int32_t best_at_of_warp[kWarps][32];
    const int lane = thread_ % 32, warp = thread_ / 32;
    const bool present = first + lane < num_pruned();
    const int32_t mine = shared_.pruned[present ? first + lane : first];
    float best = -INFINITY;
    int32_t best_at = num_kept_;
    for (int32_t group = warp * kComparedRows; group < num_kept_; group += kWarps * kComparedRows) {
      float cosine[kComparedRows];
      int32_t others[kComparedRows];
#pragma unroll
      for (int i = 0; i < kComparedRows; ++i) {
        others[i] = shared_.kept[min(group + i, num_kept_ - 1)];
      }
      rows_.cosines_to(mine, others, cosine);
#pragma unroll
      for (int i = 0; i < kComparedRows; ++i) {
        if (group + i < num_kept_ && cosine[i] > best) {
          best = cosine[i];
          best_at = group + i;
        }
      }
    }
    best_of_warp[warp][lane] = best;
    best_at_of_warp[warp][lane] = best_at;
    __syncthreads();
    if (warp == 0 && present) {
      for (int other = 1; other < kWarps; ++other) {
        const float value = best_of_warp[other][lane];
        const int32_t at = best_at_of_warp[other][lane];
        if (value > best || (value == best && at < best_at)) {
          best = value;
          best_at = at;
        }
      }
      // Where no cosine is a number, the first one.
      shared_.source[first + lane] = best_at < num_kept_ ? best_at : 0;
    }
    __syncthreads();
  }

  __device__ void write_sources() const {
    int32_t* restore = call_.restore_from + int64_t{blockIdx.y} * call_.layout.video_tokens;
    for (int32_t slot = thread_; slot < num_slots(); slot += kThreads) {
      const int32_t place = shared_.place[slot];
      int32_t source = tokens_[slot];
      if (place < 0) {
        source = call_.restore == RestoreRule::kZero
                     ? -1
                     : tokens_[shared_.kept[shared_.source[~place]]];
      }
      restore[tokens_[slot] - call_.prefix] = source;
    }
  }

  // The pruned slots by source, then ascending.
  __device__ void write_copies() const {
    const int64_t of_plane = call_.layout.video_tokens - call_.kept_queries;
    const int64_t begin = blockIdx.y * of_plane + (range_.first - first_kept_);
    const int64_t first_row = int64_t{blockIdx.y} * call_.kept_queries + first_kept_;
    for (int32_t i = thread_; i < num_kept_; i += kThreads) {
      int32_t before = 0;
      for (int32_t j = 0; j < num_pruned(); ++j) before += shared_.source[j] < i ? 1 : 0;
      call_.first_copy[first_row + i] = static_cast<int32_t>(begin + before);
    }
    // From the other end: other warps.
    for (int32_t i = kThreads - 1 - thread_; i < num_pruned(); i += kThreads) {
      const int32_t mine = shared_.source[i];
      int32_t before = 0;
      for (int32_t j = 0; j < num_pruned(); ++j) {
        before += shared_.source[j] < mine || (shared_.source[j] == mine && j < i) ? 1 : 0;
      }
      call_.copy_tokens[begin + before] = tokens_[shared_.pruned[i]];
    }
    if (blockIdx.x == gridDim.x - 1 && blockIdx.y == gridDim.y - 1 && thread_ == 0) {
      call_.first_copy[first_row + num_kept_] = static_cast<int32_t>(begin + num_pruned());
    }
  }

  const QuerySelect& call_;
  TileShared shared_;
  KeyRange range_;
  const int32_t* tokens_;
  const QuerySlot* slots_;
  Rows rows_;
  int32_t head_dim_, dim_;  // D, padded
  int thread_;
  int32_t first_kept_, num_kept_;
};

template <typename Rows>
__global__ void __launch_bounds__(kThreads)
    select_queries_kernel(const SourceRows<typename Rows::Source> q,
                          const __grid_constant__ QuerySelect call, int32_t rows_at, int32_t dim) {
  TileQueries<Rows>(q, call, rows_at, dim).run();
}

template <typename Rows>
void run(const SourceRows<typename Rows::Source>& q, const QuerySelect& call) {
  const int64_t lists = TileShared::bytes(call.max_slots);
  const int64_t rows = Rows::bytes(call.max_slots, padded_dim(call.q.head_dim));
  launch(select_queries_kernel<Rows>,
         {.grid = dim3(static_cast<unsigned>(call.layout.num_tiles),
                       static_cast<unsigned>(call.planes.num_planes)),
          .block = dim3(kThreads),
          .shared_bytes = static_cast<size_t>(lists + rows)},
         nullptr, q, call, static_cast<int32_t>(lists), padded_dim(call.q.head_dim));
}

}  // namespace

int64_t query_select_bytes(int32_t max_slots, int64_t head_dim) {
  return TileShared::bytes(max_slots) + UnitRows<1, float>::bytes(max_slots, padded_dim(head_dim));
}

void select_queries(const QuerySelect& call) {
  with_source_rows(call.q, [&]<int kWidth, typename Source>(const SourceRows<Source>& rows) {
    if constexpr (sizeof(Source) == 2 && kWidth > 1) {
      if (call.max_slots <= QueryProducts<Source, 64>::kSlots) {
        if (rows.head_dim == 64) return run<QueryProducts<Source, 64>>(rows, call);
        if (rows.head_dim == 128) return run<QueryProducts<Source, 128>>(rows, call);
      }
    }
    run<UnitRows<kWidth, Source>>(rows, call);
  });
}

}  // namespace sparsescope::cuda
