#include "sparse/head_selection.h"

#include <algorithm>
#include <numeric>

#include "sparse/bsa_selector.h"
#include "sparse/head_lists.h"
#include "sparse/random_tiles.h"
#include "sparse/row_lists.h"
#include "sparse/row_oracle.h"
#include "sparse/vmoba_selector.h"
#include "sparse/vsa_selector.h"

namespace sparsescope {

TileGrid tiles_of_rule(const PlanRule& rule, const TokenGrid& grid, const TileShape& tile) {
  if (const auto* vmoba = std::get_if<VmobaParams>(&rule.params)) {
    return partition_blocks(vmoba->partition, grid);
  }
  return TileGrid(grid, tile);
}

namespace {

bool same_selection(const VmobaParams& a, const VmobaParams& b) {
  return a.partition == b.partition && a.select == b.select && a.top_k == b.top_k &&
         a.threshold == b.threshold && a.pool == b.pool;
}

// Works out the lists of one group.
class GroupSelector {
 public:
  GroupSelector(const AttentionCall& call, std::span<const PlanRule* const> rule_of_head, Impl impl,
                ThreadPool& pool, SparseGroup& group)
      : call_(call),
        rule_of_head_(rule_of_head),
        impl_(impl),
        pool_(pool),
        group_(group),
        lists_(call.q.batch * num_heads()),
        restore_from_(lists_.size()) {}

  void run() {
    select_pooled_tiles();
    select_random_tiles();
    select_oracle_tiles();
    select_bsa_methods();
    select_vmoba_methods();
    group_.lists = join_lists(*group_.layout, lists_);
    join_restore();
  }

 private:
  int64_t num_heads() const { return static_cast<int64_t>(group_.heads.size()); }

  template <typename Params>
  const Params* params_of(int64_t index) const {
    return std::get_if<Params>(&rule_of_head_[group_.heads[index]]->params);
  }

  // body(item, batch, head, its params) for every (batch, head) of the method.
  template <typename Params, typename Body>
  void for_heads_of(Body body) const {
    for (int64_t item = 0; item < std::ssize(lists_); ++item) {
      const int64_t index = item % num_heads();
      const auto* params = params_of<Params>(index);
      if (params != nullptr) body(item, item / num_heads(), group_.heads[index], *params);
    }
  }

  TileSelectorCall selector_call() const {
    return {
        .q = call_.q, .k = call_.k, .scale = call_.scale, .layout = group_.layout, .impl = impl_};
  }

  struct VsaHeads {
    std::vector<int64_t> items;
    std::vector<VsaHead> heads;
  };
  VsaHeads vsa_heads(TileChoice choice) const {
    VsaHeads found;
    for_heads_of<VsaParams>([&](int64_t item, int64_t batch, int64_t head, const VsaParams& vsa) {
      if (vsa.choice != choice) return;
      found.items.push_back(item);
      found.heads.push_back({batch, head, vsa.top_k});
    });
    return found;
  }

  void select_pooled_tiles() {
    const auto [items, heads] = vsa_heads(TileChoice::kPooled);
    if (heads.empty()) return;
    const std::vector<TileLists> lists = select_vsa(selector_call(), heads, pool_);
    pool_.parallel_for(std::ssize(heads), [&, &items = items, &heads = heads](int64_t i, int) {
      lists_[items[i]] = tile_head_lists(*group_.layout, lists[i], heads[i].batch, heads[i].head);
    });
  }

  void select_random_tiles() {
    const auto [items, heads] = vsa_heads(TileChoice::kRandom);
    pool_.parallel_for(std::ssize(heads), [&, &items = items, &heads = heads](int64_t i, int) {
      const VsaHead& head = heads[i];
      const TileLists lists =
          random_tiles(call_.site, head.head, group_.layout->num_tiles(), head.top_k);
      lists_[items[i]] = tile_head_lists(*group_.layout, lists, head.batch, head.head);
    });
  }

  void select_oracle_tiles() {
    const auto [items, heads] = vsa_heads(TileChoice::kOracle);
    if (heads.empty()) return;
    const std::vector<RowSelection> selections =
        select_row_oracle(call_, *group_.layout, heads, impl_, pool_);
    for (size_t i = 0; i < heads.size(); ++i) {
      lists_[items[i]] =
          row_head_lists(*group_.layout, selections[i], heads[i].batch, heads[i].head, pool_);
    }
  }

  void select_bsa_methods() {
    std::vector<int64_t> items;
    std::vector<BsaHead> heads;
    for_heads_of<BsaParams>([&](int64_t item, int64_t batch, int64_t head, const BsaParams& bsa) {
      items.push_back(item);
      heads.push_back({batch, head, bsa_options(bsa)});
    });
    if (heads.empty()) return;
    std::vector<BsaSelection> selections = select_bsa(selector_call(), heads, pool_);
    pool_.parallel_for(std::ssize(heads), [&](int64_t i, int) {
      lists_[items[i]] =
          bsa_head_lists(*group_.layout, selections[i], heads[i].batch, heads[i].head);
      restore_from_[items[i]] = std::move(selections[i].restore_from);
    });
  }

  // VMoBA: pools may span the heads that share parameters.
  void select_vmoba_methods() {
    std::vector<bool> done(group_.heads.size(), false);
    for (int64_t index = 0; index < num_heads(); ++index) {
      const auto* params = params_of<VmobaParams>(index);
      if (params == nullptr || done[index]) continue;
      std::vector<int64_t> members, heads;
      for (int64_t other = index; other < num_heads(); ++other) {
        const auto* candidate = params_of<VmobaParams>(other);
        if (candidate == nullptr || !same_selection(*params, *candidate)) continue;
        members.push_back(other);
        heads.push_back(group_.heads[other]);
        done[other] = true;
      }
      select_vmoba_heads(*params, members, heads);
    }
  }

  void select_vmoba_heads(const VmobaParams& params, const std::vector<int64_t>& members,
                          const std::vector<int64_t>& heads) {
    const std::vector<RowSelection> selections =
        select_vmoba(call_.q, call_.k, heads, *group_.layout, {.params = params}, impl_, pool_);
    for (size_t i = 0; i < selections.size(); ++i) {
      const auto batch = static_cast<int64_t>(i / heads.size());
      const size_t member = i % heads.size();
      lists_[batch * num_heads() + members[member]] =
          row_head_lists(*group_.layout, selections[i], batch, heads[member], pool_);
    }
  }

  // [B, H, S_video] over all heads of the call; heads without BSA keep their rows.
  void join_restore() {
    if (std::all_of(restore_from_.begin(), restore_from_.end(),
                    [](const std::vector<int32_t>& rows) { return rows.empty(); })) {
      return;
    }
    const int64_t video = group_.layout->video_tokens();
    std::vector<int32_t> own(video);
    std::iota(own.begin(), own.end(), static_cast<int32_t>(group_.layout->prefix));
    std::vector<int32_t>& joined = group_.lists.restore_from;
    for (int64_t i = 0; i < call_.q.batch * call_.q.heads; ++i) {
      joined.insert(joined.end(), own.begin(), own.end());
    }
    for (size_t item = 0; item < restore_from_.size(); ++item) {
      const int64_t batch = static_cast<int64_t>(item) / num_heads();
      const int64_t head = group_.heads[static_cast<int64_t>(item) % num_heads()];
      std::copy(restore_from_[item].begin(), restore_from_[item].end(),
                joined.begin() + (batch * call_.q.heads + head) * video);
    }
  }

  const AttentionCall& call_;
  std::span<const PlanRule* const> rule_of_head_;
  Impl impl_;
  ThreadPool& pool_;
  SparseGroup& group_;
  std::vector<HeadLists> lists_;                    // [B * heads of the group]
  std::vector<std::vector<int32_t>> restore_from_;  // the same, empty where there is no BSA
};

}  // namespace

std::vector<SparseGroup> select_heads(const AttentionCall& call, const TileShape& tile,
                                      std::span<const PlanRule* const> rule_of_head,
                                      const LayoutOf& layout_of, Impl impl, ThreadPool& pool) {
  std::vector<SparseGroup> groups;
  for (int64_t head = 0; head < static_cast<int64_t>(rule_of_head.size()); ++head) {
    if (rule_of_head[head] == nullptr) continue;
    const TokenLayout& layout = layout_of(tiles_of_rule(*rule_of_head[head], call.grid, tile));
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const SparseGroup& known) { return known.layout == &layout; });
    if (group == groups.end()) group = groups.insert(group, {.layout = &layout});
    group->heads.push_back(head);
  }
  for (SparseGroup& group : groups) GroupSelector(call, rule_of_head, impl, pool, group).run();
  return groups;
}

}  // namespace sparsescope
