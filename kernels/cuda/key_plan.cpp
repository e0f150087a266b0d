#include "kernels/cuda/key_plan.h"

#include <algorithm>

namespace sparsescope::cuda {
namespace {

constexpr int kSlots = kBrickSlots * kBlockBricks;
constexpr int kBoxEdge = 4;
constexpr int kBrickH = 2, kBrickW = 4;

void append_block(KeyPlan& plan) {
  plan.tokens.resize(plan.tokens.size() + kSlots, -1);
  plan.valid.push_back(0);
}

void set_token(KeyPlan& plan, int64_t slot, int32_t token) {
  plan.tokens[slot] = token;
  plan.valid[slot / kSlots] |= uint64_t{1} << (slot % kSlots);
}

class BrickPlanner {
 public:
  explicit BrickPlanner(const KeyCells& cells) : cells_(cells), grid_(cells.tiles.grid()) {
    plan_.num_bins = static_cast<int32_t>(grid_.t + grid_.h + grid_.w);
  }

  KeyPlan plan() {
    for (size_t c = 0; c < cells_.cells.size(); ++c) {
      cell_idx_ = static_cast<int32_t>(c);
      const KeyCell& cell = cells_.cells[c];
      if (cell.tile < 0) {
        append_text(cell);
        continue;
      }
      const Box& box = cell.box;
      for (int32_t t = 0; t < box.t; t += kBoxEdge) {
        for (int32_t h = 0; h < box.h; h += kBoxEdge) {
          for (int32_t w = 0; w < box.w; w += kBoxEdge) append_box(cell, t, h, w);
        }
      }
    }
    mark_ends();
    for (int32_t block = 0; block < plan_.num_blocks(); ++block) place_block(block);
    return std::move(plan_);
  }

 private:
  // The bricks of the box that starts at (t, h, w) of a cell.
  void append_box(const KeyCell& cell, int32_t t0, int32_t h0, int32_t w0) {
    const Box& box = cell.box;
    const int32_t t_end = std::min(t0 + kBoxEdge, box.t), h_end = std::min(h0 + kBoxEdge, box.h);
    const bool fills_block = t_end - t0 == kBoxEdge && h_end - h0 > kBrickH;
    if (fills_block) room_ = 0;
    for (int32_t t = t0; t < t_end; ++t) {
      for (int32_t h = h0; h < h_end; h += kBrickH) append_brick(cell, t, h, w0);
    }
  }

  void append_brick(const KeyCell& cell, int32_t t, int32_t h0, int32_t w0) {
    const Box& box = cell.box;
    const int64_t slot = next_brick() * kBrickSlots;
    KeyBrick& brick = plan_.bricks[slot / kBrickSlots];
    brick.t = static_cast<int16_t>(box.t0 + t);
    brick.h = static_cast<int16_t>(grid_.t + box.h0 + h0);
    brick.w = static_cast<int16_t>(grid_.t + grid_.h + box.w0 + w0);
    for (int32_t h = h0; h < std::min(h0 + kBrickH, box.h); ++h) {
      for (int32_t w = w0; w < std::min(w0 + kBrickW, box.w); ++w) {
        set_token(plan_, slot + (h - h0) * kBrickW + (w - w0),
                  cells_.order[cell.first + (t * box.h + h) * box.w + w]);
      }
    }
  }

  void append_text(const KeyCell& cell) {
    for (int32_t first = 0; first < cell.count; first += kBrickSlots) {
      const int64_t slot = next_brick() * kBrickSlots;
      for (int32_t i = first; i < std::min(first + kBrickSlots, cell.count); ++i) {
        set_token(plan_, slot + i - first, cells_.order[cell.first + i]);
      }
    }
  }

  // Index of the next brick, for the present cell.
  int64_t next_brick() {
    if (room_ == 0) {
      append_block(plan_);
      plan_.bricks.resize(plan_.bricks.size() + kBlockBricks);
      plan_.blocks.push_back({.first_piece = plan_.num_pieces()});
      room_ = kBlockBricks;
    }
    const int32_t block = plan_.num_blocks() - 1;
    const bool starts_block = plan_.blocks.back().first_piece == plan_.num_pieces();
    if (starts_block || plan_.piece_cell.back() != cell_idx_) plan_.piece_cell.push_back(cell_idx_);
    const int64_t brick = int64_t{block} * kBlockBricks + kBlockBricks - room_--;
    piece_of_brick_.resize(brick + 1, -1);
    piece_of_brick_[brick] = plan_.num_pieces() - 1;
    return brick;
  }

  // A sum ends where the next used brick of the block has another bin or piece.
  void mark_ends() {
    const auto num_bricks = static_cast<int64_t>(piece_of_brick_.size());
    for (int64_t i = 0; i < num_bricks; ++i) {
      if (piece_of_brick_[i] < 0) continue;
      KeyBrick& brick = plan_.bricks[i];
      const bool last =
          (i + 1) % kBlockBricks == 0 || i + 1 == num_bricks || piece_of_brick_[i + 1] < 0;
      const KeyBrick next = last ? KeyBrick{} : plan_.bricks[i + 1];
      int ends = last || piece_of_brick_[i + 1] != piece_of_brick_[i] ? kEndsPiece : 0;
      if (brick.t >= 0 && brick.w != next.w) ends |= kEndsW;
      brick.ends = static_cast<int16_t>(ends);
    }
  }

  void place_block(int32_t block) {
    KeyBlockPlace& place = plan_.blocks[block];
    const KeyBrick* bricks = &plan_.bricks[int64_t{block} * kBlockBricks];
    const auto same_place = [](const KeyBrick& a, const KeyBrick& b) {
      return a.t == b.t && a.h == b.h;
    };
    const bool repeats =
        block > 0 && std::equal(bricks, bricks + kBlockBricks, bricks - kBlockBricks, same_place);
    place.places = repeats ? plan_.blocks[block - 1].places : block;
    const int32_t end_piece =
        block + 1 < plan_.num_blocks() ? plan_.blocks[block + 1].first_piece : plan_.num_pieces();
    const bool uniform = std::all_of(bricks, bricks + kBlockBricks, [&](const KeyBrick& brick) {
      return brick.t < 0 || brick.w == bricks[0].w;
    });
    if (uniform && end_piece == place.first_piece + 1) place.w = bricks[0].w;
  }

  const KeyCells& cells_;
  TokenGrid grid_;
  KeyPlan plan_;
  std::vector<int32_t> piece_of_brick_;  // -1: idle brick
  int32_t cell_idx_ = 0;
  int32_t room_ = 0;  // bricks left in the last block
};

}  // namespace

double KeyPlan::slots_per_token() const {
  const auto used = std::count_if(tokens.begin(), tokens.end(), [](int32_t t) { return t >= 0; });
  return static_cast<double>(tokens.size()) / static_cast<double>(used);
}

KeyPlan plan_tokens(const std::vector<int32_t>& order) {
  KeyPlan plan;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i % kSlots == 0) append_block(plan);
    set_token(plan, static_cast<int64_t>(i), order[i]);
  }
  return plan;
}

KeyPlan plan_bricks(const KeyCells& cells) { return BrickPlanner(cells).plan(); }

}  // namespace sparsescope::cuda
