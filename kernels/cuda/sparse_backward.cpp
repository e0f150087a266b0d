#include "kernels/cuda/sparse_backward.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <numbers>
#include <ranges>

#include "kernels/cuda/cuda_attention.h"
#include "kernels/cuda/device_lists.h"
#include "kernels/cuda/head_wave.h"
#include "kernels/cuda/sm90/sparse_backward.h"
#include "kernels/cuda/sparse_call.h"

namespace sparsescope::cuda {
namespace {

// One call, elements of one type.
template <typename Elem>
class BackwardRun {
 public:
  BackwardRun(const SparseBackwardParams& params, int64_t wave_bytes, Body body,
              cudaStream_t stream)
      : params_(params),
        body_(body),
        stream_(stream),
        num_heads_(static_cast<int32_t>(params.q.batch * params.q.heads)),
        wave_heads_(heads_per_wave(wave_bytes, bytes_per_head(params), num_heads_)),
        lists_(params.selection, stream),
        strands_(lists_.view(), static_cast<int32_t>(params.q.heads), stream),
        transposed_(lists_.view(), static_cast<int32_t>(params.q.heads), num_heads_, stream),
        blocks_(max_range_blocks(params.selection), stream),
        num_blocks_(1, stream),
        q_(params.q, nullptr, params.q.tokens, wave_heads_, stream),
        d_out_(params.d_out, nullptr, params.q.tokens, wave_heads_, stream),
        k_(params.k, lists_.view().key_order, params.selection.num_keys, wave_heads_, stream),
        v_(params.v, lists_.view().key_order, params.selection.num_keys, wave_heads_, stream),
        out_(params.out, wave_heads_, stream),
        lse_(params.lse, num_heads_ * params.q.tokens, params.out.space, stream),
        dq_(params.q, params.dq, nullptr, wave_heads_, stream),
        dk_(params.q, params.dk, nullptr, wave_heads_, stream),
        dv_(params.q, params.dv, nullptr, wave_heads_, stream),
        terms_(wave_heads_ * params.q.tokens, stream) {}

  void run() {
    cut_ranges(lists_.view(), blocks_.data(), num_blocks_.data(), stream_);
    for (int32_t first = 0; first < num_heads_; first += wave_heads_) {
      const HeadRange heads{first, std::min(wave_heads_, num_heads_ - first)};
      const auto numbers = std::views::iota(first, first + heads.count);
      if (std::ranges::any_of(numbers,
                              [&](int32_t head) { return transposed_.has_strands(head); })) {
        run_wave(heads);
      }
    }
  }

 private:
  static int64_t bytes_per_head(const SparseBackwardParams& params) {
    const int64_t tokens = params.q.tokens, keys = params.selection.num_keys;
    int64_t bytes = WaveRows<Elem>::bytes_per_head(params.q, false, tokens) +
                    WaveRows<Elem>::bytes_per_head(params.d_out, false, tokens) +
                    WaveRows<Elem>::bytes_per_head(params.k, true, keys) +
                    WaveRows<Elem>::bytes_per_head(params.v, true, keys) +
                    StagedTensor::bytes_per_head(params.out) +
                    tokens * static_cast<int64_t>(sizeof(RowTerms));
    for (const MutableAttentionTensor& gradient : {params.dq, params.dk, params.dv}) {
      bytes += WaveOutput::bytes_per_head(params.q, gradient);
    }
    return bytes;
  }

  void run_wave(HeadRange heads) {
    for (WaveOutput* gradient : {&dq_, &dk_, &dv_}) {
      gradient->load(heads);
      clear_rows(gradient->target(heads), heads.first, heads.count, transposed_.strand_counts(),
                 stream_);
    }
    SparseBackward<Elem> call{.q = q_.load(heads),
                              .d_out = d_out_.load(heads),
                              .k = k_.load(heads),
                              .v = v_.load(heads),
                              .selection = lists_.view(),
                              .heads = static_cast<int32_t>(params_.q.heads),
                              .scale = params_.scale,
                              .scale_log2 = params_.scale * std::numbers::log2e_v<float>,
                              .first_head = heads.first,
                              .num_heads = heads.count,
                              .terms = terms_.data(),
                              .dq = dq_.target(heads),
                              .dk = dk_.target(heads),
                              .dv = dv_.target(heads),
                              .queues = {},
                              .range_items = transposed_.view(),
                              .blocks = blocks_.data(),
                              .num_blocks = num_blocks_.data(),
                              .strand_counts = transposed_.strand_counts()};
    const StagedTensor::View out = out_.load(heads);
    make_row_terms(call.d_out, out.tensor, heads.first - out.first_head, lse_.data(), heads.first,
                   heads.count, terms_.data(), stream_);
    strands_.find(heads, call.queues);
    if (kernel_head_dim(params_.q.head_dim) == 64) {
      run_kernels<64>(call);
    } else {
      run_kernels<128>(call);
    }
    for (WaveOutput* gradient : {&dq_, &dk_, &dv_}) gradient->deliver(heads);
  }

  template <int kHeadDim>
  void run_kernels(const SparseBackward<Elem>& call) {
    // Of no keys there is no tensor for the copy engine.
    if (body_ == Body::kSm90 && params_.selection.num_keys > 0) {
      const bool by_keys_alone = !params_.deterministic && sm90::in_quads(call.dq);
      if (!by_keys_alone) {
        sm90::run_sparse_backward_rows<Elem, kHeadDim>(call, max_strand_blocks(), stream_);
      }
      sm90::run_sparse_backward_keys<Elem, kHeadDim>(call, by_keys_alone, blocks_.size(), stream_);
    } else {
      run_sparse_backward_rows<Elem, kHeadDim>(call, max_strand_blocks(), stream_);
      run_sparse_backward_keys<Elem, kHeadDim>(call, blocks_.size(), stream_);
    }
  }

  const SparseBackwardParams& params_;
  Body body_;
  cudaStream_t stream_;
  int32_t num_heads_, wave_heads_;  // B * H, those of a wave
  DeviceLists lists_;
  WaveStrands strands_;
  TransposedLists transposed_;
  DeviceBuffer<RangeBlock> blocks_;
  DeviceBuffer<int32_t> num_blocks_;
  WaveRows<Elem> q_, d_out_, k_, v_;
  StagedTensor out_;
  DeviceValues<float> lse_;
  WaveOutput dq_, dk_, dv_;
  DeviceBuffer<RowTerms> terms_;  // [wave_heads, S]
};

}  // namespace

void run_sparse_backward(const SparseBackwardParams& params, int64_t wave_bytes, Body body) {
  if (params.selection.num_strands == 0) return;
  if (all_f16({params.q, params.k, params.v})) {
    BackwardRun<__half>(params, wave_bytes, body, nullptr).run();
  } else {
    BackwardRun<__nv_bfloat16>(params, wave_bytes, body, nullptr).run();
  }
}

void sparse_backward(const SparseBackwardParams& params, Body body) {
  run_sparse_backward(params, kWaveBytes, body);
}

}  // namespace sparsescope::cuda
