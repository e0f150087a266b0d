#include "capture/gate_store.h"

#include <algorithm>

#include "capture/query_columns.h"

namespace sparsescope {
namespace {

// Long enough for a histogram to pay, short enough to give every thread some.
constexpr int64_t kMaxPieceBlocks = 64, kMinPieceBlocks = 8, kPiecesPerThread = 3;

int64_t choose_piece_blocks(int64_t heads, int64_t row_blocks, int64_t threads) {
  const int64_t wanted = threads == 1 ? 1 : kPiecesPerThread * threads;
  const int64_t pieces_per_head = (wanted + heads - 1) / heads;
  return std::clamp((row_blocks + pieces_per_head - 1) / pieces_per_head, kMinPieceBlocks,
                    kMaxPieceBlocks);
}

}  // namespace

void GateRange::operator+=(const GateRange& other) {
  finite.lo = std::min(finite.lo, other.finite.lo);
  finite.hi = std::max(finite.hi, other.finite.hi);
  finite.sum += other.finite.sum;
  finite.squares += other.finite.squares;
  own_sum += other.own_sum;
  own_count += other.own_count;
}

GateStore::GateStore(const AttentionTensor& q, const CallLayout& layout, const KeyMeans& means,
                     const RowStatsKernels& kernels, ThreadPool& pool, int64_t budget_bytes,
                     std::vector<float> memory)
    : q_(q),
      layout_(layout),
      means_(means),
      kernels_(kernels),
      num_partitions_(std::ssize(layout.partitions)),
      piece_blocks_(choose_piece_blocks(q.heads, std::ssize(layout.sampled.blocks), pool.size())),
      pieces_per_head_((std::ssize(layout.sampled.blocks) + piece_blocks_ - 1) / piece_blocks_),
      piece_size_(layout.partition_blocks * (piece_blocks_ + 1) * kRowLanes),
      kept_(num_pieces() * piece_size_ * static_cast<int64_t>(sizeof(float)) <= budget_bytes),
      gates_(std::move(memory)),
      own_(q.heads * std::ssize(layout.sampled.blocks) * num_partitions_ * kRowLanes),
      ranges_(q.heads * layout.partition_blocks) {
  if (kept_) gates_.resize(num_pieces() * piece_size_);
  std::vector<std::vector<float>> scratch(pool.size());
  std::vector<std::vector<GateRange>> found(num_pieces());
  pool.parallel_for(num_pieces(), [&](int64_t idx, int worker) {
    const GatePiece of = piece(idx);
    if (!kept_) scratch[worker].resize(piece_size_);
    float* gate = kept_ ? &gates_[idx * piece_size_] : scratch[worker].data();
    float* own = own_of(of.head, of.first_block);
    compute(of, gate, own);
    add_ranges(of, gate, own, found[idx]);
  });
  for (int64_t idx = 0; idx < num_pieces(); ++idx) {
    GateRange* ranges = &ranges_[piece(idx).head * layout.partition_blocks];
    for (int64_t block = 0; block < layout.partition_blocks; ++block) {
      ranges[block] += found[idx][block];
    }
  }
}

GatePiece GateStore::piece(int64_t idx) const {
  const int64_t first = idx % pieces_per_head_ * piece_blocks_;
  return {idx / pieces_per_head_, first, std::min(piece_blocks_, num_blocks() - first)};
}

const float* GateStore::read(int64_t idx, std::vector<float>& scratch) const {
  if (kept_) return &gates_[idx * piece_size_];
  scratch.resize(piece_size_);
  std::vector<float> own(piece_blocks_ * num_partitions_ * kRowLanes);
  compute(piece(idx), scratch.data(), own.data());
  return scratch.data();
}

GateRows GateStore::read_block(int64_t head, int64_t block, const float* columns,
                               std::vector<float>& scratch) const {
  const RowBlock& rows = layout_.sampled.blocks[block];
  if (!kept_) return compute_rows(head, RowNumbers(rows), columns, scratch);
  const int64_t idx = head * pieces_per_head_ + block / piece_blocks_;
  return {&gates_[idx * piece_size_ + block % piece_blocks_ * kRowLanes], piece(idx).stride(),
          &own_[(head * num_blocks() + block) * num_partitions_ * kRowLanes]};
}

GateRows GateStore::compute_rows(int64_t head, std::span<const int32_t> rows, const float* columns,
                                 std::vector<float>& scratch) const {
  const int64_t own_size = num_partitions_ * kRowLanes;
  scratch.resize(layout_.partition_blocks * kRowLanes + own_size);
  compute_rows(head, rows, columns, scratch.data() + own_size, kRowLanes, scratch.data());
  return {scratch.data() + own_size, kRowLanes, scratch.data()};
}

void GateStore::compute_rows(int64_t head, std::span<const int32_t> rows, const float* columns,
                             float* gate, int64_t stride, float* own) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const int64_t p : layout_.finest_first) {
    const PartitionLayout& partition = layout_.partitions[p];
    float* of_partition = gate + partition.first_block * stride;
    if (partition.finer_weight.empty()) {
      kernels_.products(means_.blocks_of(head, partition.first_block), partition.blocks,
                        means_.head_dim, columns, of_partition, stride);
    } else {
      // The mean of keys is linear: so is its product with a query.
      const PartitionLayout& finer = layout_.partitions[partition.finer];
      kernels_.fold_gates(gate + finer.first_block * stride, partition.block_of_finer.data(),
                          finer.blocks, partition.finer_weight.data(), partition.blocks, stride,
                          of_partition);
    }
  }
  for (const PartitionLayout& partition : layout_.partitions) {
    float* of_partition = gate + partition.first_block * stride;
    for (size_t lane = 0; lane < rows.size(); ++lane) {
      float& entry = of_partition[partition.self[rows[lane]] * stride + lane];
      own[lane] = entry;
      entry = kInfinity;
    }
    own += kRowLanes;
  }
  if (rows.size() == kRowLanes) return;
  for (int64_t c = 0; c < layout_.partition_blocks; ++c) {
    std::fill(gate + c * stride + rows.size(), gate + c * stride + kRowLanes, kInfinity);
  }
}

void GateStore::compute(const GatePiece& piece, float* gate, float* own) const {
  std::vector<float> columns(q_.head_dim * kRowLanes);
  for (int64_t b = 0; b < piece.num_blocks; ++b) {
    const RowBlock& rows = layout_.sampled.blocks[piece.first_block + b];
    load_columns(q_, 0, piece.head, &layout_.sampled.token[rows.first], rows.count, kernels_,
                 columns.data());
    compute_rows(piece.head, RowNumbers(rows), columns.data(), gate + b * kRowLanes, piece.stride(),
                 own + b * num_partitions_ * kRowLanes);
  }
}

void GateStore::add_ranges(const GatePiece& piece, const float* gate, const float* own,
                           std::vector<GateRange>& ranges) const {
  ranges.resize(layout_.partition_blocks);
  for (int64_t c = 0; c < layout_.partition_blocks; ++c) {
    kernels_.finite_range(gate + c * piece.stride(), piece.slots(), &ranges[c].finite);
  }
  for (int64_t b = 0; b < piece.num_blocks; ++b) {
    const RowBlock& rows = layout_.sampled.blocks[piece.first_block + b];
    for (int64_t p = 0; p < num_partitions_; ++p) {
      const PartitionLayout& partition = layout_.partitions[p];
      const float* of_rows = own + (b * num_partitions_ + p) * kRowLanes;
      const int32_t* self = &partition.self[rows.first];
      for (int32_t lane = 0; lane < rows.count;) {
        const int32_t block = self[lane];
        GateRange run;  // of neighbours in one block
        for (; lane < rows.count && self[lane] == block; ++lane) {
          run.finite.lo = std::min(run.finite.lo, of_rows[lane]);
          run.finite.hi = std::max(run.finite.hi, of_rows[lane]);
          run.own_sum += of_rows[lane];
          ++run.own_count;
        }
        ranges[partition.first_block + block] += run;
      }
    }
  }
}

}  // namespace sparsescope
