// The queries of a tile as BSA compares them, in two forms:
//
//   UnitRows       of any type and number: rows at length 1 in fp32, cosines as their products
//   QueryProducts  up to 64 rows of 16-bit elements: all their products at once by mma, which are
//                  exact but for the fp32 sums, and cosines as products over lengths
//
// Both: load(); cosines(reference_of, done) for all slots to their references; and by one thread
// cosines_to of one slot to some others. A block of kQueryThreads threads calls them.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/cuda/select_keys.cuh"
#include "kernels/cuda/select_source.cuh"
#include "kernels/cuda/warp_products.cuh"

namespace sparsescope::cuda {

inline constexpr int kQueryThreads = 128, kQueryWarps = kQueryThreads / 32;
inline constexpr int kComparedRows = 8;  // that a thread compares a row with at a time

// The rows of a tile in global memory.
template <typename Source>
struct TileRows {
  const Source* head;
  int64_t stride_token;
  const int32_t* tokens;
  int32_t num_slots;

  __device__ const Source* of(int32_t slot) const { return head + tokens[slot] * stride_token; }
};

__device__ inline float inverse_length(float squares) {
  const float length = sqrtf(squares);
  return 1.0f / (length < 1e-12f ? 1e-12f : length);  // a length that is no number stays one
}

template <int kWidth, typename Elem>
class UnitRows {
 public:
  using Source = Elem;
  static int64_t bytes(int32_t max_slots, int32_t dim) {
    return int64_t{max_slots} * (dim + kPad) * static_cast<int64_t>(sizeof(float));
  }

  __device__ UnitRows(unsigned char* memory, const TileRows<Source>& rows, int32_t head_dim,
                      int32_t dim)
      : rows_(rows),
        values_(reinterpret_cast<float*>(memory)),
        head_dim_(head_dim),
        dim_(dim),
        pitch_(dim_ + kPad) {}

  __device__ void load() {
    const int32_t chunks = dim_ / kWidth;
    for (int32_t i = thread(); i < rows_.num_slots * chunks; i += kQueryThreads) {
      const int32_t slot = i / chunks, first = i % chunks * kWidth;
      float values[kWidth] = {};
      if (first < head_dim_) load_widened(rows_.of(slot) + first, values);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) row(slot)[first + j] = values[j];
    }
    __syncthreads();
    for_half_warps([&](int32_t slot, int lane) {
      float squares = 0;
      for (int32_t d = lane; d < dim_ && slot < rows_.num_slots; d += kHalf) {
        squares = fmaf(row(slot)[d], row(slot)[d], squares);
      }
      const float inverse = inverse_length(half_warp_sum(squares));
      if (slot >= rows_.num_slots) return;
      for (int32_t d = lane; d < dim_; d += kHalf) row(slot)[d] *= inverse;
    });
    __syncthreads();
  }

  template <typename ReferenceOf, typename Done>
  __device__ void cosines(const ReferenceOf& reference_of, const Done& done) const {
    for_half_warps([&](int32_t slot, int lane) {
      float products = 0;
      const bool present = slot < rows_.num_slots;
      const int32_t reference = present ? reference_of(slot) : 0;
      for (int32_t d = lane; d < dim_ && present; d += kHalf) {
        products = fmaf(row(slot)[d], row(reference)[d], products);
      }
      const float cosine = half_warp_sum(products);
      if (present && lane == 0) done(slot, cosine);
    });
  }

  __device__ void cosines_to(int32_t slot, const int32_t (&others)[kComparedRows],
                             float (&cosine)[kComparedRows]) const {
    const float* rows[kComparedRows];
#pragma unroll
    for (int i = 0; i < kComparedRows; ++i) {
      rows[i] = row(others[i]);
      cosine[i] = 0.0f;
    }
    for (int32_t d = 0; d < dim_; d += 4) {
      const float4 own = *reinterpret_cast<const float4*>(row(slot) + d);
#pragma unroll
      for (int i = 0; i < kComparedRows; ++i) {
        const float4 other = *reinterpret_cast<const float4*>(rows[i] + d);
        cosine[i] = fmaf(other.x, own.x, cosine[i]);
        cosine[i] = fmaf(other.y, own.y, cosine[i]);
        cosine[i] = fmaf(other.z, own.z, cosine[i]);
        cosine[i] = fmaf(other.w, own.w, cosine[i]);
      }
    }
  }

  // As it was loaded.
  __device__ float value(int32_t slot, int32_t d) const { return to_float(rows_.of(slot)[d]); }

 private:
  static constexpr int kHalf = 16;  // lanes that share a row
  // Rows are four floats apart from a multiple of 32 where D is one: lanes that read four
  // neighbours of consecutive rows meet no bank conflict.
  static constexpr int kPad = 4;

  __device__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ float* row(int32_t slot) const { return values_ + slot * pitch_; }

  // The sum over a half warp in the order of a vector's halves, as on the host.
  __device__ static float half_warp_sum(float value) {
#pragma unroll
    for (int offset = kHalf / 2; offset > 0; offset /= 2) {
      value += __shfl_xor_sync(kAllLanes, value, offset, kHalf);
    }
    return value;
  }

  // body(slot, lane) for all slots, a half warp each; slots from num_slots on as well, so that
  // whole warps meet at the shuffles.
  template <typename Body>
  __device__ void for_half_warps(const Body& body) const {
    const int32_t of_warp = 2 * (thread() / 32), half = thread() % 32 / kHalf;
    for (int32_t slot = of_warp; slot < rows_.num_slots; slot += 2 * kQueryWarps) {
      body(slot + half, thread() % kHalf);
    }
  }

  TileRows<Source> rows_;
  float* values_;  // [max_slots, pitch]
  int32_t head_dim_, dim_, pitch_;
};

template <typename Elem, int kHeadDim>
class QueryProducts {
 public:
  using Source = Elem;
  static constexpr int kSlots = 64;
  static int64_t bytes(int32_t, int32_t) { return sizeof(Shared); }

  __device__ QueryProducts(unsigned char* memory, const TileRows<Source>& rows, int32_t, int32_t)
      : rows_(rows), shared_(*reinterpret_cast<Shared*>(memory)) {}

  __device__ void load() {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
    const int first = 16 * (thread / 32);
    constexpr int kPasses = kSlots * kHeadDim / kChunk / kQueryThreads;
    const Source* from[kPasses];  // found together, not one after each copy
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int32_t slot = thread / (kHeadDim / kChunk) + pass * (kSlots / kPasses);
      from[pass] = slot < rows_.num_slots ? rows_.of(slot) : nullptr;
    }
    copy_rows_async<kHeadDim, kSlots, kQueryThreads>(shared_.queries, thread,
                                                     [&](int, int pass) { return from[pass]; });
    commit_copies();
    wait_for_copies<0>();
    __syncthreads();
    if (first < rows_.num_slots) {
      float products[kSlots / 8][4];
      multiply_tiles<kHeadDim>(products, shared_.queries, first, shared_.queries, 0, lane);
#pragma unroll
      for (int octet = 0; octet < kSlots / 8; ++octet) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          float* to = shared_.products[first + lane / 4 + 8 * r] + 8 * octet + 2 * (lane % 4);
          *reinterpret_cast<float2*>(to) = {products[octet][2 * r], products[octet][2 * r + 1]};
        }
      }
    }
    __syncthreads();
    if (thread < rows_.num_slots) {
      shared_.inverse[thread] = inverse_length(shared_.products[thread][thread]);
    }
    __syncthreads();
  }

  template <typename ReferenceOf, typename Done>
  __device__ void cosines(const ReferenceOf& reference_of, const Done& done) const {
    const auto slot = static_cast<int32_t>(threadIdx.x);
    if (slot < rows_.num_slots) done(slot, cosine(slot, reference_of(slot)));
  }
  __device__ void cosines_to(int32_t slot, const int32_t (&others)[kComparedRows],
                             float (&of_others)[kComparedRows]) const {
#pragma unroll
    for (int i = 0; i < kComparedRows; ++i) of_others[i] = cosine(slot, others[i]);
  }

  __device__ float value(int32_t slot, int32_t d) const {
    return to_float(shared_.queries[chunk_offset<kHeadDim>(slot, d / kChunk) + d % kChunk]);
  }

 private:
  struct Shared {
    Elem queries[kSlots * kHeadDim];
    float products[kSlots][kSlots + 8];  // symmetric; fragments are stored without conflicts
    float inverse[kSlots];               // of the lengths
  };

  // Lanes that ask for different slots and the same other one read neighbours.
  __device__ float cosine(int32_t slot, int32_t other) const {
    return shared_.products[other][slot] * shared_.inverse[other] * shared_.inverse[slot];
  }

  TileRows<Source> rows_;
  Shared& shared_;
};

}  // namespace sparsescope::cuda
