// Recorded calls from end to end: a call whose tensors lie on the device against the same call on
// the host, by the reference.
#include "capture/profiling_hook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "cuda/device_fixture.h"
#include "kernels/cuda/device_buffer.h"
#include "unit/capture/naive_statistics.h"

namespace sparsescope {
namespace {

struct Recorded {
  std::map<std::string, std::vector<double>> arrays;
  std::vector<float> map, out;
};

// A call in bf16, on the host and on the device.
class Bf16Call {
 public:
  explicit Bf16Call(const naive::Call& call) : call_(call) {
    const std::vector<float>* sources[] = {&call.q, &call.k, &call.v};
    for (int i = 0; i < 3; ++i) {
      values_[i].resize(sources[i]->size());
      std::transform(sources[i]->begin(), sources[i]->end(), values_[i].begin(), float_to_bf16);
      copies_[i] = cuda::to_device(values_[i], nullptr);
    }
    out_ = {static_cast<int64_t>(call.q.size()), nullptr};
  }

  Recorded on_host(const ProfilingOptions& options) {
    std::vector<float> out(call_.q.size());
    Recorded recorded = run(options, Impl::kReference, out.data(), MemorySpace::kHost);
    recorded.out = std::move(out);
    return recorded;
  }

  Recorded on_device(const ProfilingOptions& options) {
    Recorded recorded = run(options, Impl::kCudaSm80, out_.data(), MemorySpace::kDevice);
    recorded.out = cuda::to_host(out_, nullptr);
    return recorded;
  }

 private:
  AttentionTensor tensor(int i, MemorySpace space) const {
    const void* data = values_[i].data();
    if (space == MemorySpace::kDevice) data = copies_[i].data();
    AttentionTensor tensor = contiguous_attention_tensor(data, Dtype::kBF16, 1, call_.heads,
                                                         call_.tokens(), call_.head_dim);
    tensor.space = space;
    return tensor;
  }

  Recorded run(const ProfilingOptions& options, Impl impl, float* out, MemorySpace space) const {
    AttentionCall call;
    call.grid = call_.grid;
    call.prefix = call_.prefix;
    call.suffix = call_.suffix;
    call.scale = static_cast<float>(call_.scale());
    call.q = tensor(0, space);
    call.k = tensor(1, space);
    call.v = tensor(2, space);
    call.out = contiguous_output(out, call_.heads, call_.tokens(), call_.head_dim);
    call.out.space = space;
    ThreadPool pool(1);
    ProfilingHook hook(options, impl, pool);
    hook.attend(call);
    Recorded recorded;
    std::vector<SiteStatistics> sites = hook.take();
    if (sites.empty()) return recorded;
    for (StatArray& array : sites[0].arrays) recorded.arrays[array.name] = std::move(array.values);
    recorded.map = std::move(sites[0].map);
    return recorded;
  }

  naive::Call call_;
  std::vector<uint16_t> values_[3];  // q, k, v [H, S, D]
  cuda::DeviceBuffer<uint16_t> copies_[3];
  cuda::DeviceBuffer<float> out_;
};

class CudaProfilingHook : public testing::CudaTest {
 protected:
  static ProfilingOptions options_of(const TileShape& tile,
                                     const std::vector<std::string>& partitions,
                                     int64_t rows_per_tile) {
    ProfilingOptions options{.tile = tile, .rows_per_tile = rows_per_tile, .seed = 3};
    for (const std::string& text : partitions) {
      options.partitions.push_back(parse_partition(text));
    }
    options.keep_map = [](const SiteKey&) { return true; };
    return options;
  }

  // Scores are sums of exact products of bf16 in fp32 on one side and fp64 on the other: with
  // |score| <= 20 a probability is off by about 20 * 2^-22 of itself.
  static void expect_equal(const Recorded& device, const Recorded& host) {
    constexpr double kTolerance = 1e-5;
    ASSERT_EQ(device.arrays.size(), host.arrays.size());
    for (const auto& [name, expected] : host.arrays) {
      const std::vector<double>& values = device.arrays.at(name);
      ASSERT_EQ(values.size(), expected.size()) << name;
      for (size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(values[i], expected[i], kTolerance * std::max(0.1, std::abs(expected[i])))
            << name << " at " << i;
      }
    }
    ASSERT_EQ(device.map.size(), host.map.size());
    for (size_t i = 0; i < host.map.size(); ++i) {
      EXPECT_NEAR(device.map[i], host.map[i], kTolerance * host.map[i]) << "map at " << i;
    }
  }
};

TEST_F(CudaProfilingHook, AllRows) {
  Bf16Call call(naive::make_call({5, 6, 7}, {2, 4, 4}, 3, 70, 2, 24, 5));
  const ProfilingOptions options = options_of({2, 4, 4}, {"temporal:2", "spatial:3,7"}, 0);
  const Recorded host = call.on_host(options);
  testing::for_each_schedule([&] { expect_equal(call.on_device(options), host); });
}

// Sampled rows get a pass of their own, with finer cells.
TEST_F(CudaProfilingHook, SampledRows) {
  Bf16Call call(naive::make_call({4, 6, 12}, {4, 4, 4}, 2, 0, 2, 64, 5));
  const ProfilingOptions options = options_of({4, 4, 4}, {"temporal:3", "st:2,3,4"}, 20);
  expect_equal(call.on_device(options), call.on_host(options));
}

// What later calls see does not hang on what was recorded.
TEST_F(CudaProfilingHook, RecordsWithoutATrace) {
  Bf16Call call(naive::make_call({4, 6, 12}, {4, 4, 4}, 2, 0, 2, 64, 5));
  ProfilingOptions options = options_of({4, 4, 4}, {"temporal:3", "st:2,3,4"}, 20);
  const Recorded recorded = call.on_device(options);
  options.record = [](const SiteKey&) { return false; };
  const Recorded unrecorded = call.on_device(options);
  EXPECT_TRUE(unrecorded.arrays.empty());
  EXPECT_EQ(unrecorded.out, recorded.out);
}

}  // namespace
}  // namespace sparsescope
