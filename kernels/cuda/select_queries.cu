#include <cmath>

#include "arch/block.cuh"
#include "arch/launch.h"
#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_queries.h"
#include "kernels/cuda/select_source.cuh"

namespace sparsescope::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr int kHalf = 16;      // lanes that share a row
constexpr int kKeptRows = 8;   // kept queries that a thread compares a pruned one with at a time
constexpr int kMeanRows = 64;  // of a sum in fp32

// Rows of shared memory are four floats apart from a multiple of 32 where D is one: lanes that read
// four neighbours of consecutive rows meet no bank conflict.
struct TileShared {
  float* unit_rows;  // [max_slots, pitch] the queries, then at length 1
  float* rank;       // [max_slots] minus the cosine to the reference
  int32_t* kept;     // [max_slots] slots, ascending
  int32_t* pruned;   // [max_slots]
  int32_t* source;   // [max_slots] slots
  int32_t pitch;

  __device__ TileShared(unsigned char* memory, int32_t max_slots, int32_t dim) : pitch(dim + 4) {
    unit_rows = reinterpret_cast<float*>(memory);
    rank = unit_rows + max_slots * pitch;
    kept = reinterpret_cast<int32_t*>(rank + max_slots);
    pruned = kept + max_slots;
    source = pruned + max_slots;
  }
};

// The sum over a half warp in the order of a vector's halves, as on the host.
__device__ inline float half_warp_sum(float value) {
#pragma unroll
  for (int offset = kHalf / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset, kHalf);
  }
  return value;
}

template <int kWidth, typename Source>
class TileQueries {
 public:
  __device__ TileQueries(const SourceRows<Source>& q, const QuerySelect& call, int32_t dim)
      : call_(call),
        shared_(dynamic_shared(), call.max_slots, dim),
        dim_(dim),
        head_dim_(q.head_dim),
        stride_token_(q.stride_token),
        head_(q.head(call.planes.heads[blockIdx.y])),
        thread_(static_cast<int>(threadIdx.x)),
        tile_(static_cast<int32_t>(blockIdx.x)) {
    const KeyRange range = call.layout.ranges[tile_];
    num_slots_ = range.count;
    tokens_ = call.layout.order + range.first;
    slots_ = call.slots + call.shape_of_tile[tile_] * call.max_slots;
    first_kept_ = call.first_kept[tile_];
    num_kept_ = call.first_kept[tile_ + 1] - first_kept_;
  }

  __device__ void run() {
    load();
    __syncthreads();
    normalize();
    __syncthreads();
    compare();
    __syncthreads();
    if (thread_ < 32) list_slots();
    __syncthreads();
    write_rows();
    write_means();
    find_sources();
    __syncthreads();
    write_sources();
  }

 private:
  __device__ float* unit_row(int32_t slot) const {
    return shared_.unit_rows + slot * shared_.pitch;
  }

  __device__ void load() {
    const int32_t chunks = dim_ / kWidth;
    for (int32_t i = thread_; i < num_slots_ * chunks; i += kThreads) {
      const int32_t slot = i / chunks, first = i % chunks * kWidth;
      float values[kWidth] = {};
      if (first < head_dim_) {
        load_widened(head_ + tokens_[slot] * stride_token_ + first, values);
      }
#pragma unroll
      for (int j = 0; j < kWidth; ++j) unit_row(slot)[first + j] = values[j];
    }
  }

  // body(slot, lane) for all slots, a half warp each; slots from num_slots on as well, so that
  // whole warps meet at the shuffles.
  template <typename Body>
  __device__ void for_half_warps(const Body& body) {
    const int32_t of_warp = 2 * (thread_ / 32), half = thread_ % 32 / kHalf;
    for (int32_t slot = of_warp; slot < num_slots_; slot += 2 * kWarps) {
      body(slot + half, thread_ % kHalf);
    }
  }

  __device__ void normalize() {
    for_half_warps([&](int32_t slot, int lane) {
      float squares = 0;
      if (slot < num_slots_) {
        for (int32_t d = lane; d < dim_; d += kHalf) {
          const float value = unit_row(slot)[d];
          squares = fmaf(value, value, squares);
        }
      }
      const float length = sqrtf(half_warp_sum(squares));
      // A length that is no number stays one.
      const float inverse = 1.0f / (length < 1e-12f ? 1e-12f : length);
      if (slot >= num_slots_) return;
      for (int32_t d = lane; d < dim_; d += kHalf) unit_row(slot)[d] *= inverse;
    });
  }

  __device__ void compare() {
    for_half_warps([&](int32_t slot, int lane) {
      float products = 0;
      const bool present = slot < num_slots_;
      const int32_t reference = present ? slots_[slot].reference : 0;
      if (present) {
        for (int32_t d = lane; d < dim_; d += kHalf) {
          products = fmaf(unit_row(slot)[d], unit_row(reference)[d], products);
        }
      }
      const float cosine = half_warp_sum(products);
      if (!present || lane != 0) return;
      const bool forced = call_.keep_reference && slot == reference;
      shared_.rank[slot] = forced ? INFINITY : -cosine;
    });
  }

  // The quota of each window, the least similar ones first.
  __device__ bool keeps(int32_t slot) const {
    const QuerySlot mine = slots_[slot];
    const uint32_t key = key_of(shared_.rank[slot]);
    int32_t before = 0;
    for (int32_t other = 0; other < num_slots_; ++other) {
      if (slots_[other].window != mine.window) continue;
      const uint32_t other_key = key_of(shared_.rank[other]);
      before += other_key > key || (other_key == key && other < slot) ? 1 : 0;
    }
    return before < mine.quota;
  }

  // By one warp.
  __device__ void list_slots() {
    int32_t kept = 0, pruned = 0;
    for (int32_t first = 0; first < num_slots_; first += 32) {
      const int32_t slot = first + thread_;
      const bool present = slot < num_slots_;
      const bool keep = present && keeps(slot);
      const uint32_t keep_bits = __ballot_sync(kAllLanes, keep);
      const uint32_t prune_bits = __ballot_sync(kAllLanes, present && !keep);
      const uint32_t below = (1u << thread_) - 1;
      if (keep) shared_.kept[kept + __popc(keep_bits & below)] = slot;
      if (present && !keep) shared_.pruned[pruned + __popc(prune_bits & below)] = slot;
      if (present) shared_.source[slot] = keep ? slot : -1;
      kept += __popc(keep_bits);
      pruned += __popc(prune_bits);
    }
  }

  __device__ void write_rows() const {
    int32_t* rows = call_.rows + int64_t{blockIdx.y} * call_.kept_queries + first_kept_;
    for (int32_t i = thread_; i < num_kept_; i += kThreads) rows[i] = tokens_[shared_.kept[i]];
  }

  __device__ void write_means() const {
    float* mean = call_.means + (int64_t{blockIdx.y} * call_.layout.num_tiles + tile_) * dim_;
    for (int32_t d = thread_; d < dim_; d += kThreads) {
      double total = 0;
      for (int32_t first = 0; d < head_dim_ && first < num_kept_; first += kMeanRows) {
        const int32_t last = min(num_kept_, first + kMeanRows);
        float sum = 0;
#pragma unroll 8
        for (int32_t i = first; i < last; ++i) {
          sum += to_float(head_[tokens_[shared_.kept[i]] * stride_token_ + d]);
        }
        total += static_cast<double>(sum);
      }
      mean[d] = static_cast<float>(total / num_kept_);
    }
  }

  __device__ void find_sources() {
    const int32_t num_pruned = num_slots_ - num_kept_;
    if (call_.restore == RestoreRule::kSimilar) {
      for (int32_t first = 0; first < num_pruned; first += 32) most_similar(first, num_pruned);
      return;
    }
    for (int32_t i = thread_; i < num_pruned; i += kThreads) {
      const int32_t slot = shared_.pruned[i];
      if (call_.restore == RestoreRule::kCentre) shared_.source[slot] = slots_[slot].reference;
      if (call_.restore == RestoreRule::kNearest) shared_.source[slot] = nearest(slot);
    }
  }

  __device__ int32_t nearest(int32_t slot) const {
    int32_t best = shared_.kept[0];
    for (int32_t i = 1; i < num_kept_; ++i) {
      if (abs(shared_.kept[i] - slot) < abs(best - slot)) best = shared_.kept[i];
    }
    return best;
  }

  // The kept slot with the largest cosine to each of 32 pruned ones, a lane each; the warps share
  // out the kept slots.
  __device__ void most_similar(int32_t first, int32_t num_pruned) {
    __shared__ float best_of_warp[kWarps][32];
    __shared__ int32_t best_at_of_warp[kWarps][32];
    const int lane = thread_ % 32, warp = thread_ / 32;
    const bool present = first + lane < num_pruned;
    const float* mine = unit_row(shared_.pruned[present ? first + lane : first]);
    float best = -INFINITY;
    int32_t best_at = num_kept_;
    for (int32_t group = warp * kKeptRows; group < num_kept_; group += kWarps * kKeptRows) {
      float cosine[kKeptRows] = {};
      const float* others[kKeptRows];
#pragma unroll
      for (int i = 0; i < kKeptRows; ++i) {
        others[i] = unit_row(shared_.kept[min(group + i, num_kept_ - 1)]);
      }
      for (int32_t d = 0; d < dim_; d += 4) {
        const float4 own = *reinterpret_cast<const float4*>(mine + d);
#pragma unroll
        for (int i = 0; i < kKeptRows; ++i) {
          const float4 other = *reinterpret_cast<const float4*>(others[i] + d);
          cosine[i] = fmaf(other.x, own.x, cosine[i]);
          cosine[i] = fmaf(other.y, own.y, cosine[i]);
          cosine[i] = fmaf(other.z, own.z, cosine[i]);
          cosine[i] = fmaf(other.w, own.w, cosine[i]);
        }
      }
#pragma unroll
      for (int i = 0; i < kKeptRows; ++i) {
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
      shared_.source[shared_.pruned[first + lane]] =
          shared_.kept[best_at < num_kept_ ? best_at : 0];
    }
    __syncthreads();
  }

  __device__ void write_sources() const {
    int32_t* restore = call_.restore_from + int64_t{blockIdx.y} * call_.layout.video_tokens;
    for (int32_t slot = thread_; slot < num_slots_; slot += kThreads) {
      const int32_t source = shared_.source[slot];
      restore[tokens_[slot] - call_.prefix] = source < 0 ? -1 : tokens_[source];
    }
  }

  const QuerySelect& call_;
  TileShared shared_;
  int32_t dim_, head_dim_;
  int64_t stride_token_;
  const Source* head_;
  int thread_;
  int32_t tile_, num_slots_, first_kept_, num_kept_;
  const int32_t* tokens_;
  const QuerySlot* slots_;
};

template <int kWidth, typename Source>
__global__ void __launch_bounds__(kThreads)
    select_queries_kernel(const SourceRows<Source> q, const __grid_constant__ QuerySelect call,
                          int32_t dim) {
  TileQueries<kWidth, Source>(q, call, dim).run();
}

}  // namespace

int64_t query_select_bytes(int32_t max_slots, int64_t head_dim) {
  constexpr int64_t kPad = 4, kArrays = 4;
  return int64_t{max_slots} * (padded_dim(head_dim) + kPad + kArrays) *
         static_cast<int64_t>(sizeof(float));
}

void select_queries(const QuerySelect& call) {
  const LaunchShape shape{
      .grid = dim3(static_cast<unsigned>(call.layout.num_tiles),
                   static_cast<unsigned>(call.planes.num_planes)),
      .block = dim3(kThreads),
      .shared_bytes = static_cast<size_t>(query_select_bytes(call.max_slots, call.q.head_dim))};
  with_source_rows(call.q, [&]<int kWidth, typename Source>(const SourceRows<Source>& rows) {
    launch(select_queries_kernel<kWidth, Source>, shape, nullptr, rows, call,
           padded_dim(call.q.head_dim));
  });
}

}  // namespace sparsescope::cuda
