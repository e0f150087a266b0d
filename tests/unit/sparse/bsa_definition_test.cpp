// BSA's query side on ragged grids against its definition written out in fp64: which queries every
// window keeps, and which kept query each pruned one takes its output from.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "sparse/bsa_selector.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

using testing::Qkv;
using Slots = std::vector<int32_t>;

constexpr int64_t kHeadDim = 16;

// One tile of 4,4,4 or less, by its own rules.
class Tile {
 public:
  Tile(const Qkv& x, const TokenLayout& layout, int64_t tile, const BsaOptions& options)
      : x_(x), tokens_(layout.tokens_of(tile)), box_(layout.tiles.box(tile)), options_(options) {
    windows_.resize(8);
    for (int32_t slot = 0; slot < std::ssize(tokens_); ++slot) {
      const int32_t t = slot / (box_.h * box_.w), h = slot / box_.w % box_.h, w = slot % box_.w;
      windows_[(t / 2 * 2 + h / 2) * 2 + w / 2].push_back(slot);
    }
    std::erase_if(windows_, [](const Slots& slots) { return slots.empty(); });
    for (const Slots& slots : windows_) {
      const Slots chosen = least_similar(slots);
      kept_.insert(kept_.end(), chosen.begin(), chosen.end());
    }
    std::sort(kept_.begin(), kept_.end());
  }

  const Slots& kept() const { return kept_; }

  // The slot whose output a slot takes, -1 for none.
  int32_t source(int32_t slot) const {
    if (std::binary_search(kept_.begin(), kept_.end(), slot)) return slot;
    const auto best = [&](auto closeness) {  // the first of the closest
      return *std::max_element(kept_.begin(), kept_.end(),
                               [&](int32_t a, int32_t b) { return closeness(a) < closeness(b); });
    };
    switch (options_.restore) {
      case BsaRestore::kSimilar:
        return best([&](int32_t other) { return cosine(slot, other); });
      case BsaRestore::kNearest:
        return best([&](int32_t other) { return -std::abs(slot - other); });
      case BsaRestore::kCentre:
        return reference_of(window_of(slot));
      case BsaRestore::kZero:
        break;
    }
    return -1;
  }

 private:
  double cosine(int32_t a, int32_t b) const {
    const float* p = &x_.q[tokens_[a] * kHeadDim];
    const float* q = &x_.q[tokens_[b] * kHeadDim];
    double pq = 0, pp = 0, qq = 0;
    for (int64_t d = 0; d < kHeadDim; ++d) {
      pq += double{p[d]} * q[d];
      pp += double{p[d]} * p[d];
      qq += double{q[d]} * q[d];
    }
    return pq / std::sqrt(pp * qq);
  }

  const Slots& window_of(int32_t slot) const {
    return *std::find_if(windows_.begin(), windows_.end(), [&](const Slots& slots) {
      return std::find(slots.begin(), slots.end(), slot) != slots.end();
    });
  }

  int32_t reference_of(const Slots& window) const {
    if (options_.query.reference == BsaReference::kWindowFirst) return window.front();
    if (options_.query.reference == BsaReference::kWindowLast) return window.back();
    return ((box_.t / 2) * box_.h + box_.h / 2) * box_.w + box_.w / 2;
  }

  // Half of a window, the reference first of all.
  Slots least_similar(Slots slots) const {
    const int32_t reference = reference_of(slots);
    std::sort(slots.begin(), slots.end(), [&](int32_t a, int32_t b) {
      if ((a == reference) != (b == reference)) return a == reference;
      return cosine(a, reference) < cosine(b, reference);
    });
    slots.resize((slots.size() + 1) / 2);
    return slots;
  }

  const Qkv& x_;
  std::span<const int32_t> tokens_;
  Box box_;
  BsaOptions options_;
  std::vector<Slots> windows_;
  Slots kept_;
};

TEST(BsaDefinition, KeptQueriesAndSources) {
  const Qkv x = testing::random_qkv(1, 1, 6 * 9 * 10, kHeadDim, 5);
  const TokenLayout layout = make_token_layout(TileGrid({6, 9, 10}, {4, 4, 4}), 0, 0);
  for (const BsaReference reference :
       {BsaReference::kCentre, BsaReference::kWindowFirst, BsaReference::kWindowLast}) {
    for (const BsaRestore restore :
         {BsaRestore::kSimilar, BsaRestore::kCentre, BsaRestore::kNearest, BsaRestore::kZero}) {
      const BsaOptions options{.query = {.reference = reference}, .restore = restore};
      for (const Impl impl : available_impls()) {
        const BsaSelection found = testing::select_bsa_head(
            {x.view(x.q), x.view(x.k), 0.25f, &layout, impl}, 0, 0, options);
        for (int64_t i = 0; i < layout.num_tiles(); ++i) {
          const Tile tile(x, layout, i, options);
          ASSERT_TRUE(std::ranges::equal(found.kept.of(i), tile.kept())) << i;
          const auto tokens = layout.tokens_of(i);
          for (int32_t slot = 0; slot < std::ssize(tokens); ++slot) {
            const int32_t source = tile.source(slot);
            ASSERT_EQ(found.restore_from[tokens[slot]], source < 0 ? -1 : tokens[source])
                << "tile " << i << " slot " << slot << " rule " << static_cast<int>(restore);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace sparsescope
