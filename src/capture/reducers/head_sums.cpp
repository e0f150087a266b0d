#include "capture/reducers/head_sums.h"

namespace sparsescope {
namespace {

constexpr int64_t kNumFractions = std::ssize(kFractions);
constexpr int64_t kNumTaus = std::ssize(kTaus);

}  // namespace

VmobaSums::VmobaSums(int64_t blocks)
    : density_topk(blocks),
      recall_topk(blocks),
      density_tau(kGatePools * kNumTaus),
      recall_tau(kGatePools * kNumTaus) {}

void VmobaSums::merge(const VmobaSums& other) {
  density_topk.merge(other.density_topk);
  recall_topk.merge(other.recall_topk);
  density_tau.merge(other.density_tau);
  recall_tau.merge(other.recall_tau);
}

HeadSums::HeadSums(const CallLayout& layout)
    : coverage_row(kNumFractions),
      coverage_tile(kNumFractions),
      coverage_pooled(kNumFractions),
      key_mass(layout.num_tiles),
      bsa_density(kNumFractions),
      bsa_recall(kNumFractions),
      score_moments(4),
      entropy(1),
      text_mass(1),
      row_overlap(1),
      pairs_t(layout.grid().t),
      pairs_h(layout.grid().h),
      pairs_w(layout.grid().w),
      offset_mass(layout.cells.tiles) {
  for (const PartitionLayout& partition : layout.partitions) vmoba.emplace_back(partition.blocks);
}

void HeadSums::merge(const HeadSums& other) {
  coverage_row.merge(other.coverage_row);
  coverage_tile.merge(other.coverage_tile);
  coverage_pooled.merge(other.coverage_pooled);
  key_mass.merge(other.key_mass);
  bsa_density.merge(other.bsa_density);
  bsa_recall.merge(other.bsa_recall);
  score_moments.merge(other.score_moments);
  entropy.merge(other.entropy);
  text_mass.merge(other.text_mass);
  row_overlap.merge(other.row_overlap);
  pairs_t.merge(other.pairs_t);
  pairs_h.merge(other.pairs_h);
  pairs_w.merge(other.pairs_w);
  offset_mass.merge(other.offset_mass);
  query_cosine.merge(other.query_cosine);
  for (size_t p = 0; p < vmoba.size(); ++p) vmoba[p].merge(other.vmoba[p]);
}

}  // namespace sparsescope
