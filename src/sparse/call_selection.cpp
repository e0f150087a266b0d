#include "sparse/call_selection.h"

#include <algorithm>
#include <numeric>

#include "sparse/bsa_selector.h"
#include "sparse/head_lists.h"
#include "sparse/masks.h"
#include "sparse/row_lists.h"
#include "sparse/vmoba_selector.h"
#include "sparse/vsa_selector.h"

namespace sparsescope {
namespace {

TokenLayout layout_of(const SelectionCall& call, const TileGrid& tiles) {
  return make_token_layout(tiles, call.prefix, call.suffix);
}

// {batch, head, setting} for every head of the call.
template <typename Head, typename Setting>
std::vector<Head> all_heads(const SelectionCall& call, const Setting& setting) {
  std::vector<Head> heads;
  for (int64_t batch = 0; batch < call.q.batch; ++batch) {
    for (int64_t head = 0; head < call.q.heads; ++head) heads.push_back({batch, head, setting});
  }
  return heads;
}

TileSelectorCall selector_call(const SelectionCall& call, const TokenLayout& layout,
                               float* scores) {
  return {.q = call.q,
          .k = call.k,
          .scale = call.scale,
          .layout = &layout,
          .impl = call.impl,
          .scores = scores};
}

// An array of [B, H] and the shape of one head, filled by (batch, head) from several threads.
template <typename Value>
class HeadArray {
 public:
  HeadArray(const SelectionCall& call, std::string name, std::vector<int64_t> head_shape)
      : name_(std::move(name)), shape_{call.q.batch, call.q.heads} {
    shape_.insert(shape_.end(), head_shape.begin(), head_shape.end());
    size_ = std::accumulate(head_shape.begin(), head_shape.end(), int64_t{1},
                            std::multiplies<int64_t>());
    values_.resize(call.q.batch * call.q.heads * size_);
  }
  // item: batch * H + head
  void set(int64_t item, const std::vector<Value>& values) {
    std::copy(values.begin(), values.end(), values_.begin() + item * size_);
  }
  Value* data() { return values_.data(); }
  NamedArray take() { return {std::move(name_), std::move(shape_), std::move(values_)}; }

 private:
  std::string name_;
  std::vector<int64_t> shape_;
  int64_t size_ = 0;  // values of one head
  std::vector<Value> values_;
};

BlockPlan make_plan(const SelectionCall& call, Method method, const TokenLayout& layout,
                    const std::vector<HeadLists>& lists) {
  return {.method = method,
          .grid = call.grid,
          .block = layout.tiles.shape(),
          .prefix = call.prefix,
          .suffix = call.suffix,
          .batch = call.q.batch,
          .heads = call.q.heads,
          .lists = join_lists(layout, lists)};
}

}  // namespace

CallSelection select_call(const SelectionCall& call, const VsaSettings& settings,
                          ThreadPool& pool) {
  const TokenLayout layout = layout_of(call, TileGrid(call.grid, settings.block));
  const int64_t num_tiles = layout.num_tiles();
  std::vector<HeadLists> lists(call.q.batch * call.q.heads);
  HeadArray<float> scores(call, "scores", {num_tiles, num_tiles});
  HeadArray<uint8_t> mask(call, "mask", {num_tiles, num_tiles});
  const std::vector<VsaHead> heads = all_heads<VsaHead>(call, settings.top_k);
  const std::vector<TileLists> selected =
      select_vsa(selector_call(call, layout, scores.data()), heads, pool, settings.rounding);
  pool.parallel_for(std::ssize(lists), [&](int64_t item, int) {
    lists[item] = tile_head_lists(layout, selected[item], heads[item].batch, heads[item].head);
    mask.set(item, tile_mask(selected[item], num_tiles));
  });
  return {make_plan(call, Method::kVsa, layout, lists), {scores.take(), mask.take()}};
}

CallSelection select_call(const SelectionCall& call, const BsaSettings& settings,
                          ThreadPool& pool) {
  const TokenLayout layout = layout_of(call, TileGrid(call.grid, settings.block));
  const int64_t num_tiles = layout.num_tiles();
  std::vector<HeadLists> lists(call.q.batch * call.q.heads);
  std::vector<int32_t> restore_from(std::ssize(lists) * layout.video_tokens());
  HeadArray<uint8_t> kept(call, "kept", {layout.video_tokens()});
  HeadArray<uint8_t> mask(call, "mask", {num_tiles, num_tiles});
  const std::vector<BsaHead> heads = all_heads<BsaHead>(call, settings.options);
  const std::vector<BsaSelection> selections =
      select_bsa(selector_call(call, layout, nullptr), heads, pool);
  pool.parallel_for(std::ssize(lists), [&](int64_t item, int) {
    const BsaSelection& selection = selections[item];
    lists[item] = bsa_head_lists(layout, selection, heads[item].batch, heads[item].head);
    std::copy(selection.restore_from.begin(), selection.restore_from.end(),
              restore_from.begin() + item * layout.video_tokens());
    kept.set(item, kept_mask(layout, selection.kept));
    mask.set(item, tile_mask(selection.lists, num_tiles));
  });
  CallSelection result{make_plan(call, Method::kBsa, layout, lists), {kept.take(), mask.take()}};
  result.plan.lists.restore_from = std::move(restore_from);
  return result;
}

CallSelection select_call(const SelectionCall& call, const VmobaOptions& settings,
                          ThreadPool& pool) {
  const TokenLayout layout =
      layout_of(call, partition_blocks(settings.params.partition, call.grid));
  std::vector<HeadLists> lists;
  HeadArray<uint8_t> mask(call, "mask", {layout.video_tokens(), layout.num_tiles()});
  std::vector<int64_t> heads(call.q.heads);
  std::iota(heads.begin(), heads.end(), 0);
  const std::vector<RowSelection> selections =
      select_vmoba(call.q, call.k, heads, layout, settings, call.impl, pool);
  for (int64_t item = 0; item < std::ssize(selections); ++item) {
    const int64_t batch = item / call.q.heads, head = item % call.q.heads;
    lists.push_back(row_head_lists(layout, selections[item], batch, head, pool));
    mask.set(item, block_mask(layout, selections[item]));
  }
  return {make_plan(call, Method::kVmoba, layout, lists), {mask.take()}};
}

}  // namespace sparsescope
