#include "unit/model/naive_backward.h"

namespace sparsescope::testing {
namespace {

float* row_of(const MutableAttentionTensor& x, int64_t b, int64_t h, int64_t s) {
  return x.data + b * x.stride_batch + h * x.stride_head + s * x.stride_token;
}

// One head, all [S, D]: dV += P^T dO;  dS = P * (dO V^T - sum of P * dO V^T);
// dQ = scale dS K;  dK += scale dS^T Q.
struct HeadGradients {
  HeadGradients(const float* q, const float* k, const float* v, const float* d_out, int64_t S,
                int64_t D, double scale)
      : dq(static_cast<size_t>(S * D)), dk(dq), dv(dq) {
    for (int64_t r = 0; r < S; ++r) {
      const std::vector<double> p = probabilities(q + r * D, k, S, D, scale);
      std::vector<double> dp(static_cast<size_t>(S));
      double mean = 0;
      for (int64_t c = 0; c < S; ++c) {
        for (int64_t d = 0; d < D; ++d) {
          dp[static_cast<size_t>(c)] += static_cast<double>(d_out[r * D + d]) * v[c * D + d];
        }
        mean += p[static_cast<size_t>(c)] * dp[static_cast<size_t>(c)];
      }
      for (int64_t c = 0; c < S; ++c) {
        const double weight = p[static_cast<size_t>(c)];
        const double ds = scale * weight * (dp[static_cast<size_t>(c)] - mean);
        for (int64_t d = 0; d < D; ++d) {
          dq[static_cast<size_t>(r * D + d)] += ds * k[c * D + d];
          dk[static_cast<size_t>(c * D + d)] += ds * q[r * D + d];
          dv[static_cast<size_t>(c * D + d)] += weight * d_out[r * D + d];
        }
      }
    }
  }

  std::vector<double> dq, dk, dv;
};

}  // namespace

void NaiveDifferentiableHook::attend_backward(const AttentionCall& call, int64_t direction,
                                              const AttentionTensor& d_output,
                                              const MutableAttentionTensor& dq,
                                              const MutableAttentionTensor& dk,
                                              const MutableAttentionTensor& dv) {
  const std::pair<int64_t, int64_t> key{call.site.layer, direction};
  order.push_back(key);
  EXPECT_EQ(d_output.dtype, Dtype::kF32);
  HostTensor& received = d_out[key] = copy_of(d_output);
  const HostTensor q = copy_of(call.q), k = copy_of(call.k), v = copy_of(call.v);
  EXPECT_EQ(received.shape, q.shape);
  const int64_t H = call.q.heads, S = call.q.tokens, D = call.q.head_dim;
  for (int64_t i = 0; i < call.q.batch * H; ++i) {
    const auto first = static_cast<size_t>(i * S * D);
    const HeadGradients head(&q.values[first], &k.values[first], &v.values[first],
                             &received.values[first], S, D, call.scale);
    for (int64_t s = 0; s < S; ++s) {
      for (int64_t d = 0; d < D; ++d) {
        const auto at = static_cast<size_t>(s * D + d);
        row_of(dq, i / H, i % H, s)[d] = static_cast<float>(head.dq[at]);
        row_of(dk, i / H, i % H, s)[d] = static_cast<float>(head.dk[at]);
        row_of(dv, i / H, i % H, s)[d] = static_cast<float>(head.dv[at]);
      }
    }
  }
}

void MovingHook::attend(const AttentionCall& call) {
  dense_.attend(call);
  if (call.site.layer != layer_) return;
  const float* delta = delta_.values.data();
  for (int64_t b = 0; b < call.q.batch; ++b) {
    for (int64_t h = 0; h < call.q.heads; ++h) {
      for (int64_t s = 0; s < call.q.tokens; ++s) {
        float* out = row_of(call.out, b, h, s);
        for (int64_t d = 0; d < call.q.head_dim; ++d) {
          out[d] += static_cast<float>(amount_ * *delta++);
        }
      }
    }
  }
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < b.size(); ++i) sum += static_cast<double>(a.at(i)) * b[i];
  return sum;
}

}  // namespace sparsescope::testing
