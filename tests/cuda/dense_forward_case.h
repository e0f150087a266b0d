// One call of a dense forward kernel with random inputs, and what it should give in fp64: rows and
// keys in an order of their own, row blocks of uneven sizes, idle key slots.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cuda/dense_forward.h"
#include "kernels/cuda/device_buffer.h"

namespace sparsescope::testing {

struct DenseShape {
  int64_t tokens = 200;
  int32_t head_dim = 64;  // D of the output; the kernel's is kHeadDim
  int32_t heads = 2;
  int32_t row_block = 64;  // rows of all blocks but the last
  float score_spread = 1.0f;
};

struct DenseResults {
  std::vector<float> out, lse;  // [H, S, D], [H, S]
};

template <typename Elem, int kHeadDim>
class DenseForwardCase {
 public:
  explicit DenseForwardCase(const DenseShape& shape) : shape_(shape) {
    std::mt19937_64 random(7);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<Elem>& rows, float spread) {
      rows.assign(shape.heads * shape.tokens * kHeadDim, Elem(0.0f));
      for (int64_t i = 0; i < static_cast<int64_t>(rows.size()); ++i) {
        if (i % kHeadDim < shape.head_dim) rows[i] = Elem(spread * normal(random));
      }
    };
    fill(q_, shape.score_spread);
    fill(k_, 1.0f);
    fill(v_, 1.0f);
    row_order_.resize(shape.tokens);
    std::iota(row_order_.begin(), row_order_.end(), 0);
    std::shuffle(row_order_.begin(), row_order_.end(), random);
    for (int32_t first = 0; first < shape.tokens; first += shape.row_block) {
      const auto left = static_cast<int32_t>(shape.tokens) - first;
      row_blocks_.push_back({first, std::min(shape.row_block, left)});
    }
    deal_keys(random);
  }

  using Run = void (*)(const cuda::DenseForward<Elem>& call, cudaStream_t stream);

  DenseResults run(Run kernel) const {
    const auto q = cuda::to_device(q_, nullptr);
    const auto k = cuda::to_device(packed(k_), nullptr), v = cuda::to_device(packed(v_), nullptr);
    const auto valid = cuda::to_device(valid_, nullptr);
    const auto blocks = cuda::to_device(row_blocks_, nullptr);
    const auto order = cuda::to_device(row_order_, nullptr);
    const int64_t slots = static_cast<int64_t>(slots_.size());
    cuda::DeviceBuffer<float> out(shape_.heads * shape_.tokens * shape_.head_dim, nullptr);
    cuda::DeviceBuffer<float> lse(shape_.heads * shape_.tokens, nullptr);
    const auto rows_of = [&](const Elem* data, int64_t rows) {
      return cuda::HeadRows<Elem>{.data = data,
                                  .heads = shape_.heads,
                                  .stride_head = rows * kHeadDim,
                                  .stride_row = kHeadDim};
    };
    kernel({.q = rows_of(q.data(), shape_.tokens),
            .k = rows_of(k.data(), slots),
            .v = rows_of(v.data(), slots),
            .valid = valid.data(),
            .num_key_blocks = static_cast<int32_t>(valid_.size()),
            .row_blocks = blocks.data(),
            .num_row_blocks = static_cast<int32_t>(row_blocks_.size()),
            .row_order = order.data(),
            .num_heads = shape_.heads,
            .scale_log2 = scale() * std::numbers::log2e_v<float>,
            .out = {.data = out.data(),
                    .lse = lse.data(),
                    .heads = shape_.heads,
                    .head_dim = shape_.head_dim,
                    .tokens = shape_.tokens,
                    .stride_head = shape_.tokens * shape_.head_dim,
                    .stride_token = shape_.head_dim}},
           nullptr);
    return {cuda::to_host(out, nullptr), cuda::to_host(lse, nullptr)};
  }

  DenseResults expected() const {
    DenseResults results;
    std::vector<double> p(shape_.tokens);
    for (int64_t row = 0; row < shape_.heads * shape_.tokens; ++row) {
      const int64_t first = row / shape_.tokens * shape_.tokens;  // of the head
      for (int64_t key = 0; key < shape_.tokens; ++key) {
        p[key] = 0.0;
        for (int32_t d = 0; d < shape_.head_dim; ++d) {
          p[key] += value(q_, row, d) * value(k_, first + key, d);
        }
        p[key] *= static_cast<double>(scale());
      }
      const double max = *std::max_element(p.begin(), p.end());
      double sum = 0.0;
      for (double& x : p) sum += x = std::exp(x - max);
      results.lse.push_back(static_cast<float>(max + std::log(sum)));
      for (int32_t d = 0; d < shape_.head_dim; ++d) {
        double out = 0.0;
        for (int64_t key = 0; key < shape_.tokens; ++key) {
          out += p[key] * value(v_, first + key, d);
        }
        results.out.push_back(static_cast<float>(out / sum));
      }
    }
    return results;
  }

 private:
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim)); }
  static double value(const std::vector<Elem>& rows, int64_t row, int32_t d) {
    return static_cast<double>(static_cast<float>(rows[row * kHeadDim + d]));
  }

  // Every fifth slot stays idle but in full blocks, every third of them.
  void deal_keys(std::mt19937_64& random) {
    std::vector<int32_t> keys = row_order_;
    std::shuffle(keys.begin(), keys.end(), random);
    for (size_t next = 0; next < keys.size();) {
      uint64_t bits = 0;
      for (int slot = 0; slot < 64; ++slot) {
        const bool full = valid_.size() % 3 == 1;
        const bool idle = next == keys.size() || (!full && slot % 5 == 2);
        if (!idle) bits |= uint64_t{1} << slot;
        slots_.push_back(idle ? -1 : keys[next++]);
      }
      valid_.push_back(bits);
    }
  }

  std::vector<Elem> packed(const std::vector<Elem>& rows) const {
    std::vector<Elem> result;
    for (int32_t head = 0; head < shape_.heads; ++head) {
      for (const int32_t token : slots_) {
        for (int32_t d = 0; d < kHeadDim; ++d) {
          result.push_back(token < 0 ? Elem(0.0f)
                                     : rows[(head * shape_.tokens + token) * kHeadDim + d]);
        }
      }
    }
    return result;
  }

  DenseShape shape_;
  std::vector<Elem> q_, k_, v_;  // [H, S, kHeadDim]
  std::vector<int32_t> row_order_, slots_;
  std::vector<RowBlock> row_blocks_;
  std::vector<uint64_t> valid_;
};

}  // namespace sparsescope::testing
