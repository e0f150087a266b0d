// Groups that the host's selectors decide.
#include <algorithm>
#include <limits>

#include "sparse/bsa_restore.h"
#include "sparse/head_selection.h"
#include "sparse/selected_group.h"

namespace sparsescope {
namespace {

class HostGroup : public SelectedGroup {
 public:
  HostGroup(const AttentionTensor& q, SparseGroup group, ThreadPool& pool)
      : q_(q), group_(std::move(group)), pool_(pool) {}

  SparseSelection view() const override { return group_.lists.view(); }
  BlockLists to_host() const override { return group_.lists; }

  void add_density(std::span<double> of_head) const override {
    const std::vector<double> density = group_.lists.density(q_.batch, q_.heads, q_.tokens);
    for (int64_t i = 0; i < num_planes(); ++i) {
      const Plane plane = plane_at(i);
      of_head[plane.head] += density[plane.batch * q_.heads + plane.head];
    }
  }

  bool restores() const override { return !group_.lists.restore_from.empty(); }

  void mark_pruned(float* lse) const override {
    for (int64_t i = 0; i < num_planes(); ++i) {
      const Plane plane = plane_at(i);
      std::fill_n(lse + (plane.batch * q_.heads + plane.head) * q_.tokens, q_.tokens,
                  std::numeric_limits<float>::quiet_NaN());
    }
  }

  void restore(const MutableAttentionTensor& out) const override {
    constexpr int64_t kRunTokens = 2048;
    const int64_t video = group_.layout->video_tokens();
    const int64_t runs = (video + kRunTokens - 1) / kRunTokens;
    pool_.parallel_for(num_planes() * runs, [&](int64_t item, int) {
      const Plane plane = plane_at(item / runs);
      const int64_t first = item % runs * kRunTokens;
      restore_pruned_rows(sources(plane).subspan(first, std::min(kRunTokens, video - first)),
                          group_.layout->prefix + first, plane.batch, plane.head, q_.head_dim, out);
    });
  }

  AttentionTensor gather_gradients(const AttentionTensor& d_out) override {
    kept_gradients_.assign(q_.batch * q_.heads * q_.tokens * q_.head_dim, 0.0f);
    const MutableAttentionTensor kept =
        contiguous_output(kept_gradients_.data(), q_.heads, q_.tokens, q_.head_dim);
    pool_.parallel_for(num_planes(), [&](int64_t i, int) {
      const Plane plane = plane_at(i);
      gather_restored_gradients(sources(plane), group_.layout->prefix, plane.batch, plane.head,
                                d_out, kept);
    });
    return contiguous_attention_tensor(kept_gradients_.data(), Dtype::kF32, q_.batch, q_.heads,
                                       q_.tokens, q_.head_dim);
  }

 private:
  struct Plane {
    int64_t batch, head;
  };
  int64_t num_planes() const { return q_.batch * std::ssize(group_.heads); }
  Plane plane_at(int64_t i) const {
    return {i / std::ssize(group_.heads), group_.heads[i % std::ssize(group_.heads)]};
  }
  std::span<const int32_t> sources(const Plane& plane) const {
    const int64_t video = group_.layout->video_tokens();
    return std::span(group_.lists.restore_from)
        .subspan((plane.batch * q_.heads + plane.head) * video, video);
  }

  AttentionTensor q_;  // for its extents
  SparseGroup group_;
  ThreadPool& pool_;
  std::vector<float> kept_gradients_;
};

}  // namespace

SelectedGroups select_host_groups(const GroupingCall& grouping, Impl impl, ThreadPool& pool) {
  SelectedGroups groups;
  for (SparseGroup& group : select_heads(
           grouping.call, grouping.tile, grouping.rule_of_head,
           [&](const TileGrid& tiles) -> const TokenLayout& { return *grouping.layout_of(tiles); },
           impl, pool)) {
    groups.push_back(std::make_unique<HostGroup>(grouping.call.q, std::move(group), pool));
  }
  return groups;
}

}  // namespace sparsescope
