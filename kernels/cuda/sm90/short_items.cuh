// The sm90 body of block-sparse attention for items of up to 32 rows (BSA's query tiles), which
// would leave half of the 64 rows of a product idle. Factors are swapped, so that keys fill the 64:
//
//   S^T [64 keys, 32 rows] = K Q^T,  O^T [D, 32 rows] += V^T P^T
//
// Both factors come from shared memory, whose bandwidth bounds such products: 24 cycles of each 16
// deep that 16 would do for, against 32 with idle rows. So this is up to 1.33 times as fast, not 2;
// and nothing where tiles arrive no faster than the products with idle rows take them, 64 bytes a
// cycle: 32 KB of a tile at D 128 serve 32 rows alone.
//
// The softmax runs across the threads of the group. A thread has two keys of each of eight rows, of
// which it knows the maxima that probabilities are relative to. These are raised only where some
// score has run ahead (row_softmax.cuh): a vote of the group decides, at the barrier that P^T needs
// anyway, and only then maxima are exchanged. Sums stay with the threads until the item ends.
//
// Results go from the registers to their rows: eight neighbours at a time, whole sectors.
#pragma once

#include "arch/block.cuh"
#include "arch/registers.cuh"
#include "arch/store_matrix.cuh"
#include "kernels/cuda/row_output.cuh"
#include "kernels/cuda/sm90/group_products.cuh"
#include "kernels/cuda/sm90/item_tiles.cuh"

namespace sparsescope::cuda::sm90 {

inline constexpr int kShortRows = 32;
inline constexpr int kShortOctets = kShortRows / 8;
inline constexpr int kThreadRows = 2 * kShortOctets;  // that a thread holds parts of

template <int kHeadDim>
struct ShortShared {
  ItemTiles<kHeadDim, 384 / kHeadDim> tiles;
  alignas(1024) unsigned char queries[kShortRows * kHeadDim * 2];     // [D / 64][32][64] swizzled
  alignas(1024) unsigned char probabilities[kShortRows * kKeys * 2];  // [32][64] the same
  float maxima[kGroupWarps][kShortRows], sums[kGroupWarps][kShortRows];
};

// Two blocks of a multiprocessor; each takes 1 KB beside.
static_assert(2 * (sizeof(ShortShared<128>) + 1024) <= 228 * 1024);
static_assert(2 * (sizeof(ShortShared<64>) + 1024) <= 228 * 1024);

// What a thread holds of S^T and of each 64 rows of O^T: [octet][2 r + j] belongs to row 8 octet +
// 2 (lane % 4) + j of the item; of S^T it is key 16 warp + lane / 4 + 8 r, of O^T that column.
using ShortFragment = float[kShortOctets][4];

__device__ inline int row_of_part(int part, int lane) {
  return 8 * (part / 2) + 2 * (lane % 4) + part % 2;
}

template <typename Elem, int kHeadDim>
class ShortItem {
 public:
  static constexpr int kOutBlocks = kHeadDim / 64;

  __device__ ShortItem(const SparseForward<Elem>& call, ShortShared<kHeadDim>& shared,
                       const TileNote& note, int warp, int lane)
      : call_(call), shared_(shared), note_(note), warp_(warp), lane_(lane) {
#pragma unroll
    for (int block = 0; block < kOutBlocks; ++block) clear_fragment(out_[block]);
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) shift_[part] = sum_[part] = 0.0f;
  }

  // From tile number tile on; returns the number behind the last.
  __device__ int multiply(int tile) {
    if (note_.num_keys == 0) return pass_item(shared_.tiles, tile, lane_);
    auto& keys = shared_.tiles.keys;
    auto& values = shared_.tiles.values;
    load_queries();
    ShortFragment s;

    uint32_t key_tile = keys.wait(tile);
    TileNote note = shared_.tiles.note(tile);
    begin_products(s);
    start_scores(s, key_tile);
    wait_for_products<0>(s);
    if (lane_ == 0) keys.release(tile);
    soften(s, note.num_keys, [] {});

    while (!note.last) {
      ++tile;
      key_tile = keys.wait(tile);
      const uint32_t value_tile = values.wait(tile - 1);
      note = shared_.tiles.note(tile);
      begin_with_outputs(s);
      start_scores(s, key_tile);
      start_outputs(value_tile);
      wait_for_products<1>(s);
      if (lane_ == 0) keys.release(tile);
      soften(s, note.num_keys, [&] {
        wait_for_outputs();
        if (lane_ == 0) values.release(tile - 1);
      });
    }

    const uint32_t value_tile = values.wait(tile);
    begin_with_outputs(s);
    start_outputs(value_tile);
    wait_for_outputs();
    if (lane_ == 0) values.release(tile);
    add_up_sums();
    return tile + 1;
  }

  __device__ void write() const {
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) {
      const int row = row_of_part(part, lane_);
      if (row >= note_.rows[0].count) continue;
      const float sum = sum_[part], inverse = sum > 0.0f ? 1.0f / sum : 0.0f;
      int32_t token = call_.selection.rows[note_.rows[0].first + row];
      if (call_.out.lse != nullptr && warp_ == 0 && lane_ < 4) {
        constexpr float kLn2 = 0.693147180559945309f;
        *call_.out.lse_of(note_.head, token) =
            sum > 0.0f ? (shift_[part] + log2f(sum)) * kLn2 : -INFINITY;
      }
      CopyTokens copy = ItemCopies{call_.copies, note_.rows[0].first}.of(row);
      for (;;) {
        float* out = call_.out.row(note_.head, token);
#pragma unroll
        for (int block = 0; block < kOutBlocks; ++block) {
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            const int d = 64 * block + kWarpRows * warp_ + lane_ / 4 + 8 * r;
            if (d < call_.out.head_dim) {
              out[d] = inverse * out_[block][part / 2][2 * r + part % 2];
            }
          }
        }
        if (copy.next == copy.end) break;
        token = *copy.next++;
      }
    }
  }

 private:
  static constexpr int kBarrier = 1;  // of the group

  __device__ static void sync() { sync_named(kBarrier, kGroupThreads); }

  // The last item's products with its queries are done: all have voted since.
  __device__ void load_queries() {
    constexpr int kChunks = kHeadDim / kChunk, kPasses = kShortRows * kChunks / kGroupThreads;
    const int thread = 32 * warp_ + lane_, chunk = thread % kChunks;
    const Elem* q = call_.q.head(note_.head);
    uint4 loaded[kPasses];
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = thread / kChunks + pass * (kShortRows / kPasses);
      loaded[pass] = uint4{0, 0, 0, 0};
      if (row >= note_.rows[0].count) continue;
      const int64_t token = call_.selection.rows[note_.rows[0].first + row];
      loaded[pass] =
          *reinterpret_cast<const uint4*>(q + token * call_.q.stride_row + chunk * kChunk);
    }
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = thread / kChunks + pass * (kShortRows / kPasses);
      const int strip = chunk / kSwizzleRows, in_strip = chunk % kSwizzleRows;
      unsigned char* to = shared_.queries + (strip * kShortRows + row) * kStripRowBytes +
                          (in_strip ^ row % kSwizzleRows) * static_cast<int>(sizeof(uint4));
      *reinterpret_cast<uint4*>(to) = loaded[pass];
    }
    fence_async_proxy();
    sync();
  }

  __device__ void start_scores(ShortFragment& s, uint32_t key_tile) {
    const uint64_t left = keys_descriptor(key_tile);
    const uint64_t right = keys_descriptor(shared_address(shared_.queries));
#pragma unroll
    for (int step = 0; step < kHeadDim / 16; ++step) {
      start_product_shared<Elem, Major::kDepth, Major::kDepth>(
          s, left + keys_step<kKeys>(step), right + keys_step<kShortRows>(step), step > 0);
    }
    end_products();
  }

  __device__ void start_outputs(uint32_t value_tile) {
    const uint64_t right = keys_descriptor(shared_address(shared_.probabilities));
#pragma unroll
    for (int block = 0; block < kOutBlocks; ++block) {
      const uint64_t left = values_descriptor<kKeys>(value_tile + block * kKeys * kStripRowBytes);
#pragma unroll
      for (int step = 0; step < kKeys / 16; ++step) {
        start_product_shared<Elem, Major::kColumn, Major::kDepth>(
            out_[block], left + values_step(step), right + keys_step<kShortRows>(step), true);
      }
    }
    end_products();
  }

  __device__ void begin_with_outputs(ShortFragment& s) {
    if constexpr (kOutBlocks == 1) {
      begin_products(s, out_[0]);
    } else {
      begin_products(s, out_[0], out_[1]);
    }
  }
  __device__ void wait_for_outputs() {
    if constexpr (kOutBlocks == 1) {
      wait_for_products<0>(out_[0]);
    } else {
      wait_for_products<0>(out_[0], out_[1]);
    }
  }

  // Scores of a tile to probabilities, which stand in shared memory for the next product in the
  // end. before_vote: ends what reads those of the tile before.
  template <typename BeforeVote>
  __device__ void soften(ShortFragment& s, int num_keys, const BeforeVote& before_vote) {
    if (num_keys < kKeys) mask(s, num_keys);
    ShortFragment p;
    float of_tile[kThreadRows];
    bool ahead = exponentiate(s, p);
    // Sums are never below zero, but the compiler does not know: it would move the wait of
    // before_vote ahead of the softmax (finish_outputs of group_products.cuh).
    ahead = !(add_up(p, of_tile) >= 0.0f) || ahead;
    if (__any_sync(0xffffffffu, ahead)) {
      before_vote();
      ahead = any_named(kBarrier, kGroupThreads, true);
    } else {
      before_vote();
      ahead = any_named(kBarrier, kGroupThreads, false);
    }
    if (ahead) {
      raise(s);
      exponentiate(s, p);
      add_up(p, of_tile);
    }
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) sum_[part] += of_tile[part];
    store(p);
    fence_async_proxy();
    sync();
  }

  __device__ void mask(ShortFragment& s, int num_keys) const {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      if (kWarpRows * warp_ + lane_ / 4 + 8 * r < num_keys) continue;
#pragma unroll
      for (int octet = 0; octet < kShortOctets; ++octet) {
        s[octet][2 * r] = s[octet][2 * r + 1] = -INFINITY;
      }
    }
  }

  // Whether some score has run ahead of its row's maximum, or that is not known yet.
  __device__ bool exponentiate(const ShortFragment& s, ShortFragment& p) const {
    float largest = unset_ != 0 ? INFINITY : -INFINITY;
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int at = 2 * r + part % 2;
        const float exponent = fmaf(s[part / 2][at], call_.scale_log2, -shift_[part]);
        largest = fmaxf(largest, exponent);
        p[part / 2][at] = exp2_fast(exponent);
      }
    }
    return largest > kMaxSlack;
  }

  // Of the thread's keys by row; returns the sum of all.
  __device__ static float add_up(const ShortFragment& p, float (&sums)[kThreadRows]) {
    float all = 0.0f;
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) {
      sums[part] = p[part / 2][part % 2] + p[part / 2][2 + part % 2];
      all += sums[part];
    }
    return all;
  }

  // Raises the maxima of rows whose scores have run ahead, and sets those that are not known.
  __device__ void raise(const ShortFragment& s) {
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) {
      float largest = fmaxf(s[part / 2][part % 2], s[part / 2][2 + part % 2]);
#pragma unroll
      for (int lanes = 4; lanes < 32; lanes *= 2) {
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, lanes));
      }
      if (lane_ < 4) shared_.maxima[warp_][row_of_part(part, lane_)] = largest;
    }
    sync();
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) {
      float largest = -INFINITY;
#pragma unroll
      for (int warp = 0; warp < kGroupWarps; ++warp) {
        largest = fmaxf(largest, shared_.maxima[warp][row_of_part(part, lane_)]);
      }
      largest *= call_.scale_log2;
      const bool is_unset = (unset_ >> part & 1) != 0;
      if (!(largest > (is_unset ? -INFINITY : shift_[part] + kMaxSlack))) continue;
      // Of rows without a maximum there is nothing to rescale.
      const float factor = is_unset ? 1.0f : exp2_fast(shift_[part] - largest);
      shift_[part] = largest;
      unset_ &= ~(1u << part);
      sum_[part] *= factor;
#pragma unroll
      for (int block = 0; block < kOutBlocks; ++block) {
#pragma unroll
        for (int r = 0; r < 2; ++r) out_[block][part / 2][2 * r + part % 2] *= factor;
      }
    }
  }

  // Matrices of 8 keys and 8 rows, transposed: rows of the tile run along the keys.
  __device__ void store(const ShortFragment& p) const {
    const int matrix = lane_ / 8, row_of_matrix = lane_ % 8;
    const int chunk = 2 * warp_ + matrix % 2;
#pragma unroll
    for (int pair = 0; pair < kShortOctets / 2; ++pair) {
      uint32_t registers[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&octet)[4] = p[2 * pair + i / 2];
        registers[i] = pack_pair<Elem>(octet[2 * (i % 2)], octet[2 * (i % 2) + 1]);
      }
      const int row = 8 * (2 * pair + matrix / 2) + row_of_matrix;
      store_matrix_x4_transposed(
          shared_.probabilities + row * kStripRowBytes + (chunk ^ row_of_matrix) * 16, registers);
    }
  }

  __device__ void add_up_sums() {
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) {
#pragma unroll
      for (int lanes = 4; lanes < 32; lanes *= 2) {
        sum_[part] += __shfl_xor_sync(0xffffffffu, sum_[part], lanes);
      }
      if (lane_ < 4) shared_.sums[warp_][row_of_part(part, lane_)] = sum_[part];
    }
    sync();
#pragma unroll
    for (int part = 0; part < kThreadRows; ++part) {
      sum_[part] = 0.0f;
#pragma unroll
      for (int warp = 0; warp < kGroupWarps; ++warp) {
        sum_[part] += shared_.sums[warp][row_of_part(part, lane_)];
      }
    }
  }

  const SparseForward<Elem>& call_;
  ShortShared<kHeadDim>& shared_;
  TileNote note_;
  int warp_, lane_;
  ShortFragment out_[kOutBlocks];
  float shift_[kThreadRows], sum_[kThreadRows];  // of the thread's keys
  uint32_t unset_ = (1u << kThreadRows) - 1;     // rows whose maximum is not known: a bit a part
};

}  // namespace sparsescope::cuda::sm90
