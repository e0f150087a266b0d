// What SparseExecutor uses of a selection: groups that were selected on the device against those of
// the host, for plans whose heads differ.
#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"
#include "core/thread_pool.h"
#include "cuda/device_fixture.h"
#include "cuda/select_case.h"
#include "sparse/device_groups.h"

namespace sparsescope::testing {
namespace {

class SelectGroups : public CudaTest {
 protected:
  static constexpr TokenGrid kGrid{4, 6, 8};
  static constexpr int64_t kPrefix = 2, kTokens = 197;

  // rule_of_head selected in both places.
  void select(const std::vector<PlanRule>& rules) {
    const auto heads = std::ssize(rules) + 1;  // the last one is dense
    rules_ = rules;
    for (const PlanRule& rule : rules_) rule_of_head_.push_back(&rule);
    rule_of_head_.push_back(nullptr);
    inputs_.emplace(random_qkv(2, heads, kTokens, 16, 4), Dtype::kBF16, Order::kTokenMajor);
    const Qkv& x = inputs_->host();
    call_ = {.grid = kGrid,
             .prefix = kPrefix,
             .suffix = kTokens - kPrefix - kGrid.tokens(),
             .scale = 0.25f,
             .q = x.view(x.q),
             .k = x.view(x.k),
             .v = x.view(x.v)};
    out_.resize(x.q.size());
    call_.out = contiguous_output(out_.data(), heads, kTokens, 16);
    host_ = select_host_groups(grouping(call_), Impl::kReference, pool_);
    device_call_ = call_;
    const DeviceSelectorCall on_device =
        inputs_->call(make_token_layout(TileGrid(kGrid, {2, 3, 4}), 2, 3));
    device_call_.q = on_device.q;
    device_call_.k = on_device.k;
    device_call_.v = on_device.k;  // the oracle's choice does not look at values
    device_ = selectors_.select(grouping(device_call_));
  }

  void expect_same_density() const {
    std::vector<double> host(rule_of_head_.size()), device(rule_of_head_.size());
    for (const auto& group : host_) group->add_density(host);
    for (const auto& group : device_) group->add_density(device);
    for (size_t head = 0; head < host.size(); ++head) {
      EXPECT_DOUBLE_EQ(device[head], host[head]) << "head " << head;
    }
    EXPECT_GT(host[0], 0.0);
    EXPECT_EQ(host.back(), 0.0);
  }

  GroupingCall grouping(const AttentionCall& call) {
    return {call, {2, 3, 4}, rule_of_head_, [this](const TileGrid& tiles) {
              for (const auto& layout : layouts_) {
                if (layout->tiles.shape() == tiles.shape()) return layout;
              }
              return layouts_.emplace_back(
                  std::make_shared<TokenLayout>(make_token_layout(tiles, kPrefix, 3)));
            }};
  }

  ThreadPool pool_{1};
  std::vector<PlanRule> rules_;
  std::vector<const PlanRule*> rule_of_head_;
  std::vector<std::shared_ptr<const TokenLayout>> layouts_;
  std::optional<DeviceInputs> inputs_;
  std::vector<float> out_;
  AttentionCall call_, device_call_;
  DeviceSelectors selectors_{Impl::kReference, pool_};
  SelectedGroups host_, device_;
};

PlanRule rule(MethodParams params) { return {.params = params}; }

TEST_F(SelectGroups, TilesOfEveryChoice) {
  select({rule(VsaParams{.top_k = 3}), rule(VsaParams{.top_k = 2, .choice = TileChoice::kRandom}),
          rule(VsaParams{.top_k = 5}), rule(VsaParams{.top_k = 4, .choice = TileChoice::kOracle})});
  EXPECT_EQ(device_.size(), 2);  // those pooled together, and the bounds
  expect_same_density();
  for (const auto& group : device_) EXPECT_FALSE(group->restores());
}

TEST_F(SelectGroups, BlocksOfSeveralPartitions) {
  const auto vmoba = [](const char* partition, VmobaPool pool) {
    return rule(VmobaParams{
        .partition = parse_partition(partition), .select = VmobaSelect::kThreshold, .pool = pool});
  };
  select({vmoba("spatial:3,4", VmobaPool::kHeadGlobal), vmoba("temporal:1", VmobaPool::kQueryHead),
          vmoba("spatial:3,4", VmobaPool::kHeadGlobal)});
  EXPECT_EQ(device_.size(), 2);
  expect_same_density();
}

TEST_F(SelectGroups, PrunedQueries) {
  select({rule(BsaParams{.kv_keep = 0.3}), rule(BsaParams{.query_keep = 0.75, .kv_keep = 0.3}),
          rule(BsaParams{.kv_keep = 0.5, .min_blocks = 1})});
  EXPECT_EQ(device_.size(), 2);
  expect_same_density();

  for (size_t i = 0; i < out_.size(); ++i) out_[i] = static_cast<float>(normal(8, i));
  const cuda::DeviceArray<float> d_out(out_);
  cuda::DeviceArray<float> out(out_), lse(std::vector<float>(2 * 4 * kTokens, 1.0f));
  const AttentionTensor host_gradient =
      contiguous_attention_tensor(out_.data(), Dtype::kF32, 2, 4, kTokens, 16);
  AttentionTensor gradient = host_gradient;
  gradient.data = d_out.data();
  gradient.space = MemorySpace::kDevice;
  MutableAttentionTensor device_out = call_.out;
  device_out.data = out.data();
  device_out.space = MemorySpace::kDevice;

  std::vector<float> kept(out_.size()), device_kept(out_.size());
  const auto add = [](std::vector<float>& sums, const std::vector<float>& values) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += values[i];
  };
  for (const auto& group : host_) {
    const auto* data = static_cast<const float*>(group->gather_gradients(host_gradient).data);
    add(kept, {data, data + kept.size()});
  }
  for (const auto& group : device_) {
    ASSERT_TRUE(group->restores());
    group->mark_pruned(lse.data());
    group->restore(device_out);
    std::vector<float> values(kept.size());
    cuda::copy_to_host(values.data(), group->gather_gradients(gradient).data,
                       std::ssize(values) * static_cast<int64_t>(sizeof(float)));
    add(device_kept, values);
  }
  for (const auto& group : host_) group->restore(call_.out);
  EXPECT_EQ(device_kept, kept);
  EXPECT_EQ(out.to_host(), out_);
  const std::vector<float> marked = lse.to_host();
  for (int64_t i = 0; i < std::ssize(marked); ++i) {
    EXPECT_EQ(std::isnan(marked[i]), i / kTokens % 4 != 3) << i;
  }
}

}  // namespace
}  // namespace sparsescope::testing
