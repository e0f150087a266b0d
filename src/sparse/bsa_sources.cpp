#include "sparse/bsa_sources.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "sparse/dot_products.h"
#include "sparse/token_rows.h"

namespace sparsescope {
namespace {

// The kept slot nearest to each slot by |r - r'|, the lower one where two are equally near.
void nearest_kept(std::span<const int32_t> kept, std::span<int32_t> sources) {
  size_t at = 0;
  for (int32_t slot = 0; slot < std::ssize(sources); ++slot) {
    while (at + 1 < kept.size() && std::abs(kept[at + 1] - slot) < std::abs(kept[at] - slot)) ++at;
    sources[slot] = kept[at];
  }
}

// Slots without those kept.
void list_pruned(std::span<const int32_t> kept, int64_t num_slots, std::vector<int32_t>& pruned) {
  pruned.clear();
  size_t at = 0;
  for (int32_t slot = 0; slot < num_slots; ++slot) {
    if (at < kept.size() && kept[at] == slot) {
      ++at;
    } else {
      pruned.push_back(slot);
    }
  }
}

// Rows of the slots, one behind the other.
void pick_rows(std::span<const float> rows, int64_t head_dim, std::span<const int32_t> slots,
               std::vector<float>& picked) {
  picked.resize(slots.size() * head_dim);
  float* next = picked.data();
  for (const int32_t slot : slots) next = std::copy_n(&rows[slot * head_dim], head_dim, next);
}

// The kept slot with the largest cosine to each pruned slot, the lower one where two are equal.
void most_similar_kept(Impl impl, std::span<const float> unit_rows, std::span<const int32_t> kept,
                       SourceScratch& scratch, std::span<int32_t> sources) {
  list_pruned(kept, std::ssize(sources), scratch.pruned);
  const int64_t num_kept = std::ssize(kept), num_pruned = std::ssize(scratch.pruned);
  if (num_pruned == 0) return;
  const int64_t head_dim = std::ssize(unit_rows) / std::ssize(sources);
  pick_rows(unit_rows, head_dim, kept, scratch.kept_rows);
  pick_rows(unit_rows, head_dim, scratch.pruned, scratch.pruned_rows);
  scratch.cosines.resize(num_kept * num_pruned);
  dot_products(impl,
               {.a = scratch.kept_rows.data(),
                .num_a = num_kept,
                .b = scratch.pruned_rows.data(),
                .num_b = num_pruned,
                .head_dim = head_dim,
                .out = scratch.cosines.data(),
                .stride_out = num_pruned},
               scratch.panel);
  scratch.best_at.resize(num_pruned);
  token_row_kernels(impl).first_best_rows(scratch.cosines.data(), num_kept, num_pruned,
                                          scratch.best_at.data());
  for (int64_t i = 0; i < num_pruned; ++i) sources[scratch.pruned[i]] = kept[scratch.best_at[i]];
}

}  // namespace

void find_sources(Impl impl, std::span<const float> unit_rows, std::span<const int32_t> kept,
                  std::span<const int32_t> reference, BsaRestore rule, SourceScratch& scratch,
                  std::span<int32_t> sources) {
  switch (rule) {
    case BsaRestore::kSimilar:
      most_similar_kept(impl, unit_rows, kept, scratch, sources);
      break;
    case BsaRestore::kNearest:
      nearest_kept(kept, sources);
      break;
    case BsaRestore::kCentre:
      for (const int32_t slot : reference) {
        SPARSESCOPE_CHECK(ErrorKind::kUsage, std::binary_search(kept.begin(), kept.end(), slot),
                          "bsa: restoring from the centre needs a centre that is kept");
      }
      std::copy(reference.begin(), reference.end(), sources.begin());
      break;
    case BsaRestore::kZero:
      std::fill(sources.begin(), sources.end(), -1);
      break;
  }
  for (const int32_t slot : kept) sources[slot] = slot;
}

}  // namespace sparsescope
