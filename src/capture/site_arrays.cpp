#include "capture/site_arrays.h"

#include "core/error.h"

namespace sparsescope {
namespace {

class ArrayBuilder {
 public:
  explicit ArrayBuilder(std::span<const HeadSums> heads) : heads_(heads) {}

  // values_of(head sums): the values of one head, shape [trailing...]
  template <typename ValuesOf>
  void add(std::string name, const std::vector<int64_t>& trailing, std::vector<std::string> axes,
           const ValuesOf& values_of) {
    StatArray array{.name = std::move(name), .axes = std::move(axes)};
    array.shape = {static_cast<int64_t>(heads_.size())};
    array.shape.insert(array.shape.end(), trailing.begin(), trailing.end());
    int64_t expected = 1;
    for (const int64_t extent : trailing) expected *= extent;
    for (const HeadSums& head : heads_) {
      const auto values = values_of(head);
      SPARSESCOPE_ASSERT(static_cast<int64_t>(values.size()) == expected);
      array.values.insert(array.values.end(), values.begin(), values.end());
    }
    arrays_.push_back(std::move(array));
  }

  void add_mean(std::string name, const std::vector<int64_t>& trailing,
                std::vector<std::string> axes, MeanCurve HeadSums::*curve) {
    add(std::move(name), trailing, std::move(axes),
        [&](const HeadSums& head) { return (head.*curve).means(); });
  }

  void add_vmoba(std::string name, int64_t partition, const std::vector<int64_t>& trailing,
                 std::vector<std::string> axes, MeanCurve VmobaSums::*curve) {
    add(std::move(name), trailing, std::move(axes),
        [&](const HeadSums& head) { return (head.vmoba[partition].*curve).means(); });
  }

  std::vector<StatArray> take() { return std::move(arrays_); }

 private:
  std::span<const HeadSums> heads_;
  std::vector<StatArray> arrays_;
};

void add_distances(ArrayBuilder& builder, const TokenGrid& grid) {
  builder.add("mass_dt", {grid.t}, {"distance_t"},
              [](const HeadSums& head) { return head.pairs_t.by_distance(); });
  builder.add("mass_dh", {grid.h}, {"distance_h"},
              [](const HeadSums& head) { return head.pairs_h.by_distance(); });
  builder.add("mass_dw", {grid.w}, {"distance_w"},
              [](const HeadSums& head) { return head.pairs_w.by_distance(); });
  builder.add("frame_mass", {grid.t, grid.t}, {"frame_query", "frame_key"},
              [](const HeadSums& head) { return head.pairs_t.by_pair(); });
}

void add_offsets(ArrayBuilder& builder, const TileGrid& tiles) {
  builder.add("offset_mass", {tiles.tiles_t(), tiles.tiles_h(), tiles.tiles_w()},
              {"offset_t", "offset_h", "offset_w"},
              [](const HeadSums& head) { return head.offset_mass.means(); });
}

}  // namespace

std::vector<StatArray> make_site_arrays(std::span<const HeadSums> heads, const CallLayout& layout) {
  constexpr int64_t kNumFractions = std::ssize(kFractions), kNumTaus = std::ssize(kTaus);
  ArrayBuilder builder(heads);
  builder.add_mean("coverage_row", {kNumFractions}, {"f"}, &HeadSums::coverage_row);
  builder.add_mean("coverage_tile", {kNumFractions}, {"f"}, &HeadSums::coverage_tile);
  builder.add_mean("coverage_pooled", {kNumFractions}, {"f"}, &HeadSums::coverage_pooled);
  builder.add_mean("key_mass", {layout.num_tiles}, {"tile"}, &HeadSums::key_mass);
  add_distances(builder, layout.grid());
  add_offsets(builder, layout.cells.tiles);
  builder.add_mean("entropy", {}, {}, &HeadSums::entropy);
  builder.add_mean("prefix_mass", {}, {}, &HeadSums::text_mass);
  builder.add_mean("row_overlap", {}, {}, &HeadSums::row_overlap);
  builder.add("query_cosine", {kCosineBins}, {"bin"},
              [](const HeadSums& head) { return head.query_cosine.counts(); });
  builder.add_mean("score_moments", {4}, {"moment"}, &HeadSums::score_moments);
  builder.add_mean("bsa_density", {kNumFractions}, {"kappa"}, &HeadSums::bsa_density);
  builder.add_mean("bsa_recall", {kNumFractions}, {"kappa"}, &HeadSums::bsa_recall);
  for (size_t p = 0; p < layout.partitions.size(); ++p) {
    const PartitionLayout& partition = layout.partitions[p];
    const std::string folder = "vmoba/" + partition.name + "/";
    const auto idx = static_cast<int64_t>(p);
    builder.add_vmoba(folder + "density_topk", idx, {partition.blocks}, {"k"},
                      &VmobaSums::density_topk);
    builder.add_vmoba(folder + "recall_topk", idx, {partition.blocks}, {"k"},
                      &VmobaSums::recall_topk);
    builder.add_vmoba(folder + "density_tau", idx, {kGatePools, kNumTaus}, {"pool", "tau"},
                      &VmobaSums::density_tau);
    builder.add_vmoba(folder + "recall_tau", idx, {kGatePools, kNumTaus}, {"pool", "tau"},
                      &VmobaSums::recall_tau);
  }
  return builder.take();
}

}  // namespace sparsescope
