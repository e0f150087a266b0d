#include "core/partition_choice.h"

#include <algorithm>
#include <array>

namespace sparsescope {
namespace {

// The published partitions have 7 to 325 blocks of at least 96 tokens.
constexpr int64_t kPublishedBlocks = 7, kPublishedTokens = 96;
constexpr int64_t kTokensPerUse = 5;  // of the default budget, beside the default candidates

struct Candidate {
  Partition partition;
  TileShape shape;
  int64_t blocks = 0;
  int group = 0;  // default candidates, published sizes, others
};

// The common refinement of shapes, as the places along each axis at which something is cut.
class Refinement {
 public:
  explicit Refinement(const TileGrid& tiles)
      : cuts_{std::vector<bool>(tiles.grid().t), std::vector<bool>(tiles.grid().h),
              std::vector<bool>(tiles.grid().w)} {
    add(tiles.shape());
  }

  void add(const TileShape& shape) {
    const std::array<int64_t, 3> steps{shape.t, shape.h, shape.w};
    for (size_t axis = 0; axis < 3; ++axis) {
      for (size_t at = 0; at < cuts_[axis].size(); at += steps[axis]) cuts_[axis][at] = true;
    }
  }

  int64_t cells() const {
    int64_t product = 1;
    for (const auto& cuts : cuts_) product *= std::count(cuts.begin(), cuts.end(), true);
    return product;
  }

 private:
  std::array<std::vector<bool>, 3> cuts_;
};

std::vector<Candidate> candidates_of(const TokenGrid& grid, const std::vector<Partition>& legal) {
  // By their shapes: a default candidate of the 3D kind may cut as one of another kind does.
  std::vector<TileShape> defaults;
  for (const Partition& partition : default_partitions(grid)) {
    defaults.push_back(partition_blocks(partition, grid).shape());
  }
  std::vector<Candidate> candidates;
  for (const Partition& partition : legal) {
    const TileGrid blocks = partition_blocks(partition, grid);
    Candidate candidate{partition, blocks.shape(), blocks.num_tiles(), 2};
    if (candidate.blocks >= kPublishedBlocks && candidate.shape.volume() >= kPublishedTokens) {
      candidate.group = 1;
    }
    if (std::find(defaults.begin(), defaults.end(), candidate.shape) != defaults.end()) {
      candidate.group = 0;
    }
    candidates.push_back(candidate);
  }
  return candidates;
}

class Chooser {
 public:
  Chooser(const TileGrid& tiles, std::vector<Candidate> candidates)
      : refinement_(tiles), left_(std::move(candidates)) {}

  // Takes those of a group that fit, the one that adds least first.
  void take(int group, int64_t budget) {
    while (true) {
      size_t best = left_.size();
      int64_t least = 0;
      for (size_t i = 0; i < left_.size(); ++i) {
        if (left_[i].group != group) continue;
        const int64_t use = use_with(left_[i]);
        if (best < left_.size() && use >= least) continue;
        best = i;
        least = use;
      }
      if (best == left_.size() || least > budget) return;
      refinement_.add(left_[best].shape);
      blocks_ += left_[best].blocks;
      taken_.push_back(left_[best].partition);
      left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(best));
    }
  }

  int64_t cells() const { return refinement_.cells(); }
  int64_t blocks() const { return blocks_; }
  const std::vector<Partition>& taken() const { return taken_; }

 private:
  int64_t use_with(const Candidate& candidate) const {
    Refinement refinement = refinement_;
    refinement.add(candidate.shape);
    return refinement.cells() + blocks_ + candidate.blocks;
  }

  Refinement refinement_;
  int64_t blocks_ = 0;
  std::vector<Candidate> left_;
  std::vector<Partition> taken_;
};

// Of the default candidates, and a share of the tokens.
int64_t default_budget(const TileGrid& tiles) {
  Refinement refinement(tiles);
  int64_t blocks = 0;
  for (const Partition& partition : default_partitions(tiles.grid())) {
    const TileGrid cut = partition_blocks(partition, tiles.grid());
    refinement.add(cut.shape());
    blocks += cut.num_tiles();
  }
  return refinement.cells() + blocks + tiles.grid().tokens() / kTokensPerUse;
}

}  // namespace

// The smallest published blocks hold 96 tokens; smaller ones cost a gate for every few keys. Grids
// of a few tokens still get blocks of a quarter of them.
int64_t min_block_tokens(const TokenGrid& grid) { return std::min<int64_t>(32, grid.tokens() / 4); }

std::vector<Partition> legal_partitions(const TokenGrid& grid) {
  std::vector<Partition> legal;
  for (int64_t t = 1; t < grid.t; ++t) legal.push_back({PartitionKind::kTemporal, {t, 0, 0}});
  const auto add_cuts = [&](int64_t t) {
    for (int64_t h = 1; h <= grid.h; ++h) {
      for (int64_t w = 1; w <= grid.w; ++w) {
        const bool divides = grid.h % h == 0 && grid.w % w == 0;
        if (!divides || (h == grid.h && w == grid.w)) continue;
        if (t == grid.t) {
          legal.push_back({PartitionKind::kSpatial, {0, h, w}});
        } else {
          legal.push_back({PartitionKind::kSpatioTemporal, {t, h, w}});
        }
      }
    }
  };
  add_cuts(grid.t);
  for (int64_t t = 1; t < grid.t; ++t) {
    if (grid.t % t == 0) add_cuts(t);
  }
  return legal;
}

PartitionChoice choose_partitions(const TileGrid& tiles, int64_t max_blocks,
                                  std::optional<int64_t> budget) {
  const std::vector<Partition> legal = legal_partitions(tiles.grid());
  std::vector<Candidate> candidates = candidates_of(tiles.grid(), legal);
  PartitionChoice choice{.legal = std::ssize(legal)};
  choice.budget = budget.value_or(default_budget(tiles));
  const int64_t least = min_block_tokens(tiles.grid());
  choice.of_small_blocks = std::erase_if(candidates, [&](const Candidate& candidate) {
    return candidate.shape.volume() < least || candidate.blocks > max_blocks;
  });
  const int64_t useful = std::ssize(candidates);
  Chooser chooser(tiles, std::move(candidates));
  for (const int group : {0, 1, 2}) chooser.take(group, choice.budget);
  choice.beyond_budget = useful - std::ssize(chooser.taken());
  choice.cells = chooser.cells();
  choice.blocks = chooser.blocks();
  const std::vector<Partition>& taken = chooser.taken();
  std::copy_if(legal.begin(), legal.end(), std::back_inserter(choice.chosen),
               [&](const Partition& partition) {
                 return std::find(taken.begin(), taken.end(), partition) != taken.end();
               });
  return choice;
}

}  // namespace sparsescope
