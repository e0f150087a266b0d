// The statistics of one recorded call, computed on the device from the chunks of the instrumented
// kernel: only sums of whole heads reach the host. Definitions and arithmetic are those of the
// reducers on the host: masses and scores in fp32, every sum over rows or tiles in fp64 and in a
// fixed order.
//
// Plain structs with host pointers; no CUDA header is needed to include this.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/key_cells.h"
#include "core/row_groups.h"
#include "core/tensor_view.h"
#include "kernels/cuda/mass_chunk.h"

namespace sparsescope::cuda {

// For each row block and each coordinate that its rows have along an axis: the lanes of those rows.
struct AxisEntries {
  int64_t extent = 0;
  std::vector<int32_t> first;       // [video row blocks + 1] into coordinate
  std::vector<int32_t> coordinate;  // of each entry
  std::vector<uint64_t> lanes;      // bit i: lane i
};

struct ReductionLayout {
  const KeyCells* cells = nullptr;  // that the pieces of the chunks are numbered by
  const RowGroups* rows = nullptr;
  std::span<const int32_t> sampled_first;  // [video row blocks + 1] first sampled row of each
  std::span<const uint8_t> sampled_lane;   // [sampled rows] lane in its row block
  std::array<AxisEntries, 3> axes;         // t, h, w
  std::vector<TileShape> windows;  // of the queries that are compared; the last is the whole tile
  std::vector<int32_t> kept;       // [F] K(f), ascending: tiles kept at each fraction
  std::vector<double> cuts;        // [F] BSA's cut-offs in deviations, descending
};

// What the host needs only once per layout, on the device.
struct ReductionTables;
std::shared_ptr<const ReductionTables> make_reduction_tables(const ReductionLayout& layout);

// Sums of one head.
struct ReducedHead {
  std::vector<double> coverage_row;                    // [F] over the sampled rows
  std::vector<double> coverage_tile, coverage_pooled;  // [F] over query tiles times their sizes
  std::vector<double> bsa_density, bsa_recall;         // [F] likewise
  std::vector<double> score_moments;                   // [4] over query tiles
  std::vector<double> key_mass;                        // [N] over rows, as those that follow
  double entropy = 0.0, text_mass = 0.0, row_overlap = 0.0;
  std::array<std::vector<double>, 3> pairs;  // [extent, extent] row's coordinate, key's coordinate
  std::vector<double> offset_mass;           // [N] by distance of tiles along t, h, w
  std::vector<int64_t> query_cosine;         // [64] counts
  std::vector<double> window_cosine;  // [windows] over the rows that are no centre of a window
};

inline constexpr int kReducedCosineBins = 64;

class MassReduction {
 public:
  // Pooled scores of as many heads at a time as fit in here.
  static constexpr int64_t kScoreBytes = int64_t{64} << 20;

  // q and k [1, H, S, D] on the device, D at most 128. map: null, or [H, N, N] on the host, which
  // receives the tile masses.
  MassReduction(std::shared_ptr<const ReductionTables> tables, const AttentionTensor& q,
                const AttentionTensor& k, float scale, float* map,
                int64_t score_bytes = kScoreBytes);
  ~MassReduction();
  MassReduction(const MassReduction&) = delete;
  MassReduction& operator=(const MassReduction&) = delete;

  // Queues the chunk's reductions. Chunks of the same heads come one after the other, their row
  // blocks in ascending order.
  void consume(const MassChunk& chunk, void* stream);
  // [H]; waits for the device. Call once, after all chunks.
  std::vector<ReducedHead> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sparsescope::cuda
