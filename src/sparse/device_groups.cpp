#include "sparse/device_groups.h"

#include <algorithm>

#include "capture/host_call.h"
#include "sparse/device_selection.h"
#include "sparse/head_selection.h"

namespace sparsescope {
namespace {

class DeviceGroup : public SelectedGroup {
 public:
  DeviceGroup(const AttentionTensor& q, DeviceSelection selection)
      : q_(q), selection_(std::move(selection)) {}

  SparseSelection view() const override { return selection_.view(); }
  BlockLists to_host() const override { return selection_.to_host(); }
  void add_density(std::span<double> of_head) const override {
    const std::vector<double> density = selection_.density();
    for (size_t i = 0; i < density.size(); ++i) {
      of_head[selection_.planes().heads()[i] % q_.heads] += density[i];
    }
  }
  bool restores() const override { return selection_.restores(); }
  RowCopies copies() const override { return selection_.copies(); }
  void mark_pruned(float* lse) const override {
    cuda::fill_lse(selection_.planes().view(), q_.tokens, lse);
  }
  void restore(const MutableAttentionTensor& out) const override {
    cuda::restore_rows(selection_.restore_map(), out, q_.head_dim);
  }
  AttentionTensor gather_gradients(const AttentionTensor& d_out) override {
    kept_gradients_ =
        cuda::DeviceArray<float>::zeros(q_.batch * q_.heads * q_.tokens * q_.head_dim);
    MutableAttentionTensor kept =
        contiguous_output(kept_gradients_.data(), q_.heads, q_.tokens, q_.head_dim);
    kept.space = MemorySpace::kDevice;
    cuda::gather_gradients(selection_.restore_map(), d_out, kept);
    AttentionTensor gathered = contiguous_attention_tensor(
        kept_gradients_.data(), Dtype::kF32, q_.batch, q_.heads, q_.tokens, q_.head_dim);
    gathered.space = MemorySpace::kDevice;
    return gathered;
  }

 private:
  AttentionTensor q_;  // for its extents
  DeviceSelection selection_;
  cuda::DeviceArray<float> kept_gradients_;
};

bool bounds_a_method(const PlanRule& rule) {
  const auto* vsa = std::get_if<VsaParams>(&rule.params);
  return vsa != nullptr && vsa->choice != TileChoice::kPooled;
}

// Whether one selection serves both.
bool go_together(const MethodParams& a, const MethodParams& b) {
  if (a.index() != b.index()) return false;
  if (const auto* bsa = std::get_if<BsaParams>(&a)) {
    return bsa_options(*bsa).query == bsa_options(std::get<BsaParams>(b)).query;
  }
  const auto* vmoba = std::get_if<VmobaParams>(&a);
  return vmoba == nullptr || *vmoba == std::get<VmobaParams>(b);
}

// All samples of the heads, each with what setting_of(head) says.
template <typename Head, typename SettingOf>
std::vector<Head> planes_of(const AttentionTensor& q, const std::vector<int64_t>& heads,
                            const SettingOf& setting_of) {
  std::vector<Head> planes;
  for (int64_t batch = 0; batch < q.batch; ++batch) {
    for (const int64_t head : heads) planes.push_back({batch, head, setting_of(head)});
  }
  return planes;
}

}  // namespace

SelectedGroups DeviceSelectors::select(const GroupingCall& grouping) {
  SelectedGroups groups;
  std::vector<int64_t> bounds;
  std::vector<bool> done(grouping.rule_of_head.size(), false);
  for (int64_t head = 0; head < std::ssize(grouping.rule_of_head); ++head) {
    const PlanRule* rule = grouping.rule_of_head[head];
    if (rule == nullptr || done[head]) continue;
    if (bounds_a_method(*rule)) {
      bounds.push_back(head);
      continue;
    }
    std::vector<int64_t> heads;
    for (int64_t other = head; other < std::ssize(grouping.rule_of_head); ++other) {
      const PlanRule* candidate = grouping.rule_of_head[other];
      if (candidate == nullptr || bounds_a_method(*candidate) ||
          !go_together(rule->params, candidate->params)) {
        continue;
      }
      heads.push_back(other);
      done[other] = true;
    }
    select_method(grouping, heads, groups);
  }
  if (!bounds.empty()) select_bounds(grouping, bounds, groups);
  return groups;
}

void DeviceSelectors::select_method(const GroupingCall& grouping, const std::vector<int64_t>& heads,
                                    SelectedGroups& groups) {
  const AttentionCall& call = grouping.call;
  const PlanRule& rule = *grouping.rule_of_head[heads[0]];
  const DeviceSelectorCall selector{
      .q = call.q,
      .k = call.k,
      .scale = call.scale,
      .layout = device_layout(grouping.layout_of(tiles_of_rule(rule, call.grid, grouping.tile)))};
  const auto add = [&](DeviceSelection selection) {
    groups.push_back(std::make_unique<DeviceGroup>(call.q, std::move(selection)));
  };
  const auto params_of = [&]<typename Params>(int64_t head) -> const Params& {
    return std::get<Params>(grouping.rule_of_head[head]->params);
  };
  if (std::holds_alternative<VsaParams>(rule.params)) {
    add(select_vsa_on_device(selector, planes_of<VsaHead>(call.q, heads, [&](int64_t head) {
                               return params_of.template operator()<VsaParams>(head).top_k;
                             })));
  } else if (std::holds_alternative<BsaParams>(rule.params)) {
    add(select_bsa_on_device(selector, planes_of<BsaHead>(call.q, heads, [&](int64_t head) {
                               return bsa_options(params_of.template operator()<BsaParams>(head));
                             })));
  } else {
    add(select_vmoba_on_device(selector, heads, {.params = std::get<VmobaParams>(rule.params)}));
  }
}

void DeviceSelectors::select_bounds(const GroupingCall& grouping, const std::vector<int64_t>& heads,
                                    SelectedGroups& groups) {
  std::vector<const PlanRule*> rule_of_head(grouping.rule_of_head.size(), nullptr);
  for (const int64_t head : heads) rule_of_head[head] = grouping.rule_of_head[head];
  const auto select = [&](const AttentionCall& call) {
    for (auto& group : select_host_groups({call, grouping.tile, rule_of_head, grouping.layout_of},
                                          host_, pool_)) {
      groups.push_back(std::move(group));
    }
  };
  const bool looks_at_tokens = std::any_of(heads.begin(), heads.end(), [&](int64_t head) {
    return std::get<VsaParams>(rule_of_head[head]->params).choice == TileChoice::kOracle;
  });
  if (!looks_at_tokens) return select(grouping.call);
  const HostCall host(grouping.call);
  AttentionCall call = host.call();
  std::vector<float> out(call.q.batch * call.q.heads * call.q.tokens * call.q.head_dim);
  call.out = contiguous_output(out.data(), call.q.heads, call.q.tokens, call.q.head_dim);
  select(call);
}

std::shared_ptr<DeviceTokenLayout> DeviceSelectors::device_layout(
    const std::shared_ptr<const TokenLayout>& layout) {
  const auto known = std::find_if(layouts_.begin(), layouts_.end(), [&](const auto& other) {
    return &other->host() == layout.get();
  });
  if (known != layouts_.end()) return *known;
  return layouts_.emplace_back(std::make_shared<DeviceTokenLayout>(layout));
}

SelectedGroups select_groups(const GroupingCall& grouping, DeviceSelectors& on_device, Impl impl,
                             ThreadPool& pool) {
  const bool lies_there = is_cuda(impl) && grouping.call.q.space == MemorySpace::kDevice;
  return lies_there ? on_device.select(grouping) : select_host_groups(grouping, impl, pool);
}

}  // namespace sparsescope
