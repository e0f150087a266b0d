// The tensors that every attention of a benchmark works on, drawn from a seed.
//
// Flat random scores would make every selection alike. So q and k of video tokens share random
// Fourier features of their place in the grid, sqrt(2) cos(w . (t, h, w) + phase), beside normal
// noise: scores peak by 3 to 8, depending on the head, on keys within about two tokens. Text tokens
// are noise. Every 211th key and 97th value is an outlier, 3 and 10 times as large.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "model/attention_hook.h"

namespace sparsescope {

struct AttentionShape {
  int64_t batch = 1, heads = 1, tokens = 0, head_dim = 64;  // B, H, S, D
  TokenGrid grid;
  int64_t prefix = 0, suffix = 0;
  Dtype dtype = Dtype::kF32;

  double dense_flops() const;           // 4 B H S S D
  double dense_backward_flops() const;  // 10 B H S S D: five products
};

// Error(kUsage) where S is not prefix + T*Hg*Wg + suffix, or an extent is out of range.
void check_shape(const AttentionShape& shape);

class AttentionProblem {
 public:
  AttentionProblem(const AttentionShape& shape, uint64_t seed, ThreadPool& pool);

  const AttentionShape& shape() const { return shape_; }
  int64_t elements() const;  // B H S D
  int64_t rows() const { return shape_.batch * shape_.heads * shape_.tokens; }
  AttentionTensor q() const { return view(q_); }
  AttentionTensor k() const { return view(k_); }
  AttentionTensor v() const { return view(v_); }
  AttentionTensor d_out() const { return view(d_out_); }
  AttentionTensor view_fp32(const float* data) const;  // [B, H, S, D]
  float scale() const;
  AttentionCall call(float* out) const;

  static std::string description();  // of the inputs, for reports

 private:
  AttentionTensor view(const std::vector<uint8_t>& bytes) const;

  AttentionShape shape_;
  std::vector<uint8_t> q_, k_, v_, d_out_;  // [B, H, S, D]
};

// A row [D] of a strided tensor of any compute type.
void load_row(const AttentionTensor& x, int64_t batch, int64_t head, int64_t token, double* row);

}  // namespace sparsescope
