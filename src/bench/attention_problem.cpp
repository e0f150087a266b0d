#include "bench/attention_problem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/error.h"
#include "core/rng.h"

namespace sparsescope {
namespace {

constexpr double kLocality = 2.0;                 // tokens
constexpr double kMinPeak = 3.0, kMaxPeak = 8.0;  // of the scores, by head
constexpr int64_t kMaxHeadDim = 256;
constexpr int64_t kRunTokens = 1024;  // drawn by one thread at a time
// Keys of random streams.
enum Stream : uint64_t { kFeatures, kPhases, kPeaks, kQ, kK, kV, kDOut };

struct Outliers {
  int64_t every = 0;  // 0: none
  double factor = 1;
};

void store(uint8_t* bytes, int64_t index, Dtype dtype, float value) {
  if (dtype == Dtype::kF32) {
    std::memcpy(bytes + index * 4, &value, 4);
    return;
  }
  const uint16_t bits = dtype == Dtype::kBF16 ? float_to_bf16(value) : float_to_f16(value);
  std::memcpy(bytes + index * 2, &bits, 2);
}

// Features of one head's tokens, times the amplitude that gives its scores their peak.
class Locality {
 public:
  Locality(const AttentionShape& shape, uint64_t seed, int64_t head) : shape_(shape) {
    const uint64_t key = combine_key(seed, static_cast<uint64_t>(head));
    const double peak = kMinPeak + (kMaxPeak - kMinPeak) * uniform(combine_key(key, kPeaks), 0);
    amplitude_ = std::sqrt(2.0 * peak / std::sqrt(static_cast<double>(shape.head_dim)));
    for (int64_t d = 0; d < shape.head_dim; ++d) {
      for (int64_t axis = 0; axis < 3; ++axis) {
        frequency_.push_back(normal(combine_key(key, kFeatures), 3 * d + axis) / kLocality);
      }
      phase_.push_back(2 * std::numbers::pi * uniform(combine_key(key, kPhases), d));
    }
  }

  double at(int64_t token, int64_t d) const {
    const int64_t raster = token - shape_.prefix;
    if (raster < 0 || raster >= shape_.grid.tokens()) return 0;
    const TokenGrid& grid = shape_.grid;
    const double* w = &frequency_[3 * d];
    const auto t = static_cast<double>(raster / (grid.h * grid.w));
    const auto h = static_cast<double>(raster / grid.w % grid.h);
    return amplitude_ *
           std::cos(w[0] * t + w[1] * h + w[2] * static_cast<double>(raster % grid.w) + phase_[d]);
  }

 private:
  const AttentionShape& shape_;
  double amplitude_ = 0;
  std::vector<double> frequency_;  // [D, 3]
  std::vector<double> phase_;      // [D]
};

}  // namespace

double AttentionShape::dense_flops() const {
  return 4.0 * static_cast<double>(batch * heads * head_dim) * static_cast<double>(tokens) *
         static_cast<double>(tokens);
}

double AttentionShape::dense_backward_flops() const { return 2.5 * dense_flops(); }

void check_shape(const AttentionShape& shape) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, shape.head_dim <= kMaxHeadDim,
                    "--shape: expected a head dim of at most {}, found {}", kMaxHeadDim,
                    shape.head_dim);
  const int64_t expected = shape.prefix + shape.grid.tokens() + shape.suffix;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, shape.tokens == expected,
                    "--shape: grid {} with {} text tokens expects S = {}, found {}",
                    to_string(shape.grid), shape.prefix + shape.suffix, expected, shape.tokens);
}

AttentionProblem::AttentionProblem(const AttentionShape& shape, uint64_t seed, ThreadPool& pool)
    : shape_(shape) {
  check_shape(shape);
  const int64_t D = shape.head_dim;
  for (auto* x : {&q_, &k_, &v_, &d_out_}) x->resize(elements() * dtype_bits(shape.dtype) / 8);
  const int64_t runs = (shape.tokens + kRunTokens - 1) / kRunTokens;
  // A run of tokens of a (batch, head).
  const auto fill = [&](std::vector<uint8_t>& x, Stream stream, int64_t run,
                        const Locality* locality, const Outliers& outliers) {
    const uint64_t key = combine_key(seed, stream);
    const int64_t item = run / runs, first = run % runs * kRunTokens;
    for (int64_t token = first; token < std::min(first + kRunTokens, shape.tokens); ++token) {
      const bool outlier = outliers.every > 0 && token % outliers.every == outliers.every / 2;
      for (int64_t d = 0; d < D; ++d) {
        const int64_t index = (item * shape.tokens + token) * D + d;
        double value = normal(key, static_cast<uint64_t>(index));
        if (outlier) value *= outliers.factor;
        if (locality != nullptr) value += locality->at(token, d);
        store(x.data(), index, shape.dtype, static_cast<float>(value));
      }
    }
  };
  pool.parallel_for(shape.batch * shape.heads * runs, [&](int64_t run, int) {
    const Locality locality(shape_, seed, run / runs % shape.heads);
    fill(q_, kQ, run, &locality, {});
    fill(k_, kK, run, &locality, {.every = 211, .factor = 3});
    fill(v_, kV, run, nullptr, {.every = 97, .factor = 10});
    fill(d_out_, kDOut, run, nullptr, {});
  });
}

int64_t AttentionProblem::elements() const { return rows() * shape_.head_dim; }

AttentionTensor AttentionProblem::view(const std::vector<uint8_t>& bytes) const {
  return contiguous_attention_tensor(bytes.data(), shape_.dtype, shape_.batch, shape_.heads,
                                     shape_.tokens, shape_.head_dim);
}

AttentionTensor AttentionProblem::view_fp32(const float* data) const {
  return contiguous_attention_tensor(data, Dtype::kF32, shape_.batch, shape_.heads, shape_.tokens,
                                     shape_.head_dim);
}

float AttentionProblem::scale() const {
  return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
}

AttentionCall AttentionProblem::call(float* out) const {
  return {.grid = shape_.grid,
          .prefix = shape_.prefix,
          .suffix = shape_.suffix,
          .scale = scale(),
          .q = q(),
          .k = k(),
          .v = v(),
          .out = contiguous_output(out, shape_.heads, shape_.tokens, shape_.head_dim)};
}

std::string AttentionProblem::description() {
  return "normal noise; q and k share Fourier features of the token's place (scores peak by 3 to 8 "
         "within about 2 tokens); every 211th key 3 times, every 97th value 10 times as large";
}

void load_row(const AttentionTensor& x, int64_t batch, int64_t head, int64_t token, double* row) {
  const int64_t first = batch * x.stride_batch + head * x.stride_head + token * x.stride_token;
  if (x.dtype == Dtype::kF32) {
    std::copy_n(static_cast<const float*>(x.data) + first, x.head_dim, row);
    return;
  }
  const uint16_t* bits = static_cast<const uint16_t*>(x.data) + first;
  const auto widen = x.dtype == Dtype::kBF16 ? bf16_to_float : f16_to_float;
  std::transform(bits, bits + x.head_dim, row, widen);
}

}  // namespace sparsescope
