#include "sparse/bsa_queries.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "sparse/dot_products.h"

namespace sparsescope {
namespace {

constexpr float kMinNorm = 1e-12f;

// The kept slot nearest to each slot by |r - r'|, the lower one where two are equally near.
std::vector<int32_t> nearest_kept(int64_t num_slots, std::span<const int32_t> kept) {
  std::vector<int32_t> sources(num_slots);
  size_t at = 0;
  for (int32_t slot = 0; slot < num_slots; ++slot) {
    while (at + 1 < kept.size() && std::abs(kept[at + 1] - slot) < std::abs(kept[at] - slot)) ++at;
    sources[slot] = kept[at];
  }
  return sources;
}

// Sixteen partial sums, so that the loop vectorises; equal rows give equal products.
float dot(const float* a, const float* b, int64_t head_dim) {
  constexpr int64_t kLanes = 16;
  float sums[kLanes] = {};
  int64_t d = 0;
  for (; d + kLanes <= head_dim; d += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[d + lane] * b[d + lane];
  }
  for (; d < head_dim; ++d) sums[d % kLanes] += a[d] * b[d];
  float total = 0.0f;
  for (const float sum : sums) total += sum;
  return total;
}

// Rows of the slots, one behind the other.
std::vector<float> pick_rows(std::span<const float> rows, int64_t head_dim,
                             std::span<const int32_t> slots) {
  std::vector<float> picked(slots.size() * head_dim);
  for (size_t i = 0; i < slots.size(); ++i) {
    std::copy_n(&rows[slots[i] * head_dim], head_dim, &picked[i * head_dim]);
  }
  return picked;
}

// The kept slot with the largest cosine to each pruned slot, the lower one where two are equal.
std::vector<int32_t> most_similar_kept(Impl impl, std::span<const float> unit_rows,
                                       int64_t num_slots, std::span<const int32_t> kept) {
  std::vector<int32_t> all(num_slots), pruned;
  std::iota(all.begin(), all.end(), 0);
  std::set_difference(all.begin(), all.end(), kept.begin(), kept.end(), std::back_inserter(pruned));
  const int64_t head_dim = static_cast<int64_t>(unit_rows.size()) / num_slots;
  const auto num_kept = static_cast<int64_t>(kept.size());
  const std::vector<float> kept_rows = pick_rows(unit_rows, head_dim, kept);
  const std::vector<float> pruned_rows = pick_rows(unit_rows, head_dim, pruned);
  std::vector<float> cosines(pruned.size() * num_kept);  // [pruned, kept]
  std::vector<float> panel;
  dot_products(impl,
               {.a = pruned_rows.data(),
                .num_a = static_cast<int64_t>(pruned.size()),
                .b = kept_rows.data(),
                .num_b = num_kept,
                .head_dim = head_dim,
                .out = cosines.data(),
                .stride_out = num_kept},
               panel);
  std::vector<int32_t> sources(num_slots);
  for (size_t i = 0; i < pruned.size(); ++i) {
    const auto row = cosines.begin() + static_cast<int64_t>(i) * num_kept;
    sources[pruned[i]] = kept[std::max_element(row, row + num_kept) - row];
  }
  return sources;
}

}  // namespace

int32_t centre_slot(const Box& box, const TileShape& tile, const BsaQueryOptions& options) {
  if (options.centre && box.volume() == tile.volume()) {
    const TileShape& c = *options.centre;
    SPARSESCOPE_CHECK(ErrorKind::kUsage, c.t < tile.t && c.h < tile.h && c.w < tile.w,
                      "bsa: the centre {} lies outside the tile {}", to_string(c), to_string(tile));
    return static_cast<int32_t>((c.t * tile.h + c.h) * tile.w + c.w);
  }
  return ((box.t / 2) * box.h + box.h / 2) * box.w + box.w / 2;
}

std::vector<std::vector<int32_t>> window_slots(const Box& box, const TileShape& window) {
  const TileShape extents{box.t, box.h, box.w};
  const TileShape shape = window.volume() == 0 ? extents : window;
  const TileGrid windows({box.t, box.h, box.w}, shape);
  std::vector<std::vector<int32_t>> slots;
  for (int64_t u = 0; u < windows.num_tiles(); ++u) slots.push_back(windows.tokens_of(u));
  return slots;
}

int64_t query_quota(int64_t num_slots, const BsaQueryOptions& options) {
  // A product that is a whole number must not gain or lose a query by the rounding of rho.
  constexpr double kSlack = 1e-9;
  const double exact = static_cast<double>(num_slots) * options.keep;
  const double quota = options.round_down ? std::floor(exact + kSlack) : std::ceil(exact - kSlack);
  return std::clamp<int64_t>(static_cast<int64_t>(quota), 1, num_slots);
}

void normalize_rows(const float* rows, int64_t num_rows, int64_t head_dim, float* unit_rows) {
  for (int64_t r = 0; r < num_rows; ++r) {
    const float* row = rows + r * head_dim;
    const float inverse = 1.0f / std::max(std::sqrt(dot(row, row, head_dim)), kMinNorm);
    for (int64_t d = 0; d < head_dim; ++d) unit_rows[r * head_dim + d] = row[d] * inverse;
  }
}

void centre_similarity(const float* unit_rows, int64_t num_rows, int64_t head_dim, int32_t centre,
                       float* similarity) {
  for (int64_t r = 0; r < num_rows; ++r) {
    similarity[r] = dot(unit_rows + r * head_dim, unit_rows + centre * head_dim, head_dim);
  }
}

std::vector<int32_t> keep_queries(std::span<const float> similarity,
                                  const std::vector<std::vector<int32_t>>& windows, int32_t centre,
                                  const BsaQueryOptions& options) {
  const auto rank = [&](int32_t slot) {
    if (options.keep_centre && slot == centre) return -std::numeric_limits<float>::infinity();
    return similarity[slot];
  };
  std::vector<int32_t> kept;
  std::vector<int32_t> order;
  for (const std::vector<int32_t>& slots : windows) {
    order = slots;
    const int64_t quota = query_quota(static_cast<int64_t>(slots.size()), options);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return rank(a) < rank(b); });
    kept.insert(kept.end(), order.begin(), order.begin() + quota);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

std::vector<int32_t> restore_sources(Impl impl, std::span<const float> unit_rows, int64_t num_slots,
                                     std::span<const int32_t> kept, int32_t centre,
                                     BsaRestore rule) {
  std::vector<int32_t> sources;
  switch (rule) {
    case BsaRestore::kSimilar:
      sources = most_similar_kept(impl, unit_rows, num_slots, kept);
      break;
    case BsaRestore::kNearest:
      sources = nearest_kept(num_slots, kept);
      break;
    case BsaRestore::kCentre:
      SPARSESCOPE_CHECK(ErrorKind::kUsage, std::binary_search(kept.begin(), kept.end(), centre),
                        "bsa: restoring from the centre needs a centre that is kept");
      sources.assign(num_slots, centre);
      break;
    case BsaRestore::kZero:
      sources.assign(num_slots, -1);
      break;
  }
  for (const int32_t slot : kept) sources[slot] = slot;
  return sources;
}

}  // namespace sparsescope
