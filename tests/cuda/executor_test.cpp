// SparseExecutor on tensors of the device, from selection to gradients: a plan whose heads differ
// in method against the reference on the same bf16 values.
#include <gtest/gtest.h>

#include <cmath>

#include "capture/output_buffer.h"
#include "core/dtype.h"
#include "core/rng.h"
#include "cuda/device_fixture.h"
#include "kernels/cuda/device_array.h"
#include "sparse/sparse_executor.h"
#include "support/near.h"

namespace sparsescope::testing {
namespace {

constexpr TokenGrid kGrid{4, 6, 8};
constexpr TileShape kTile{2, 3, 4};
constexpr int64_t kPrefix = 2, kSuffix = 3, kTokens = 197, kHeadDim = 32;

// The heads' methods; the fourth one is dense.
std::vector<PlanRule> rules() {
  return {{.params = VsaParams{.top_k = 3}},
          {.params = BsaParams{.query_keep = 0.5, .kv_keep = 0.3, .min_blocks = 2}},
          {.params = VmobaParams{.partition = parse_partition("spatial:3,4"),
                                 .select = VmobaSelect::kThreshold,
                                 .pool = VmobaPool::kHeadGlobal}}};
}

struct Results {
  std::vector<float> out, lse, dq, dk, dv;
  std::vector<double> density;
};

// bf16 values [B, H, S, D] in both places.
class Input {
 public:
  static constexpr int64_t kBatch = 2, kHeads = 4;
  static constexpr int64_t kElements = kBatch * kHeads * kTokens * kHeadDim;

  explicit Input(uint64_t key) : host_(kElements) {
    for (int64_t i = 0; i < kElements; ++i) {
      host_[i] = float_to_bf16(static_cast<float>(normal(key, i)));
    }
    device_ = cuda::DeviceArray<uint16_t>(host_);
  }
  AttentionTensor in(MemorySpace space) const {
    const bool on_host = space == MemorySpace::kHost;
    AttentionTensor view = contiguous_attention_tensor(
        on_host ? host_.data() : device_.data(), Dtype::kBF16, kBatch, kHeads, kTokens, kHeadDim);
    view.space = space;
    return view;
  }

 private:
  std::vector<uint16_t> host_;
  cuda::DeviceArray<uint16_t> device_;
};

class ExecutorOnDevice : public CudaTest {
 protected:
  ExecutorOnDevice() : hopper_(use_compute_capability(9, 0)) {}

  Results run(Impl impl) {
    const MemorySpace space = space_of(impl);
    const Input q(1), k(2), v(3), d_out(4);
    OutputBuffer out(Input::kElements, space), dq(Input::kElements, space),
        dk(Input::kElements, space), dv(Input::kElements, space),
        lse(Input::kBatch * Input::kHeads * kTokens, space);
    const auto output = [&](OutputBuffer& buffer) {
      MutableAttentionTensor view =
          contiguous_output(buffer.data(), Input::kHeads, kTokens, kHeadDim);
      view.space = space;
      return view;
    };
    const AttentionCall call{.grid = kGrid,
                             .prefix = kPrefix,
                             .suffix = kSuffix,
                             .scale = 1.0f / std::sqrt(static_cast<float>(kHeadDim)),
                             .q = q.in(space),
                             .k = k.in(space),
                             .v = v.in(space),
                             .out = output(out)};
    const std::vector<PlanRule> plan = rules();
    std::vector<const PlanRule*> rule_of_head;
    for (const PlanRule& rule : plan) rule_of_head.push_back(&rule);
    rule_of_head.push_back(nullptr);

    SparseExecutor executor(kTile, impl, pool_);
    const SparseRun ran = executor.run(call, rule_of_head, lse.data());
    executor.backward(call, rule_of_head, lse.data(), d_out.in(space), output(dq), output(dk),
                      output(dv));
    const auto taken = [](OutputBuffer& buffer) {
      const auto values = buffer.fetched();
      return std::vector<float>(values.begin(), values.end());
    };
    return {taken(out), taken(lse), taken(dq), taken(dk), taken(dv), ran.density};
  }

  void expect_as_reference(Impl impl) {
    const Results expected = run(Impl::kReference), found = run(impl);
    // Probabilities and dS are rounded to bf16 before they are multiplied: 2^-9 of each.
    EXPECT_TRUE(near(found.out, expected.out, {.max_scaled = 6e-3, .rel_l2 = 4e-3}));
    EXPECT_TRUE(near(found.lse, expected.lse, {.max_scaled = 1e-5}));  // fp32 sums
    EXPECT_TRUE(near(found.dq, expected.dq, {.max_scaled = 1.2e-2, .rel_l2 = 8e-3}));
    EXPECT_TRUE(near(found.dk, expected.dk, {.max_scaled = 1.2e-2, .rel_l2 = 8e-3}));
    EXPECT_TRUE(near(found.dv, expected.dv, {.max_scaled = 6e-3, .rel_l2 = 5e-3}));
    for (size_t head = 0; head < expected.density.size(); ++head) {
      EXPECT_DOUBLE_EQ(found.density[head], expected.density[head]) << "head " << head;
    }
    EXPECT_LT(expected.density[0], 0.5);
    EXPECT_EQ(expected.density[3], 1.0);
  }

  bool hopper_;
  ThreadPool pool_{1};
};

TEST_F(ExecutorOnDevice, EveryMethodAndDenseHeads) {
  for_each_schedule([&] { expect_as_reference(Impl::kCudaSm80); });
}

TEST_F(ExecutorOnDevice, OnHopper) {
  if (!hopper_) GTEST_SKIP() << "this GPU is no Hopper";
  expect_as_reference(Impl::kCudaSm90);
}

}  // namespace
}  // namespace sparsescope::testing
