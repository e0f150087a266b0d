#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <numbers>

#include "kernels/cuda/cuda_attention.h"
#include "kernels/cuda/device_lists.h"
#include "kernels/cuda/head_wave.h"
#include "kernels/cuda/sm90/sparse_forward.h"
#include "kernels/cuda/sparse_call.h"
#include "kernels/cuda/sparse_forward.h"

namespace sparsescope::cuda {
namespace {

// One call, elements of one type.
template <typename Elem>
class SparseRun {
 public:
  SparseRun(const SparseAttentionParams& params, int64_t wave_bytes, Body body, cudaStream_t stream)
      : params_(params),
        body_(body),
        stream_(stream),
        num_heads_(static_cast<int32_t>(params.q.batch * params.q.heads)),
        wave_heads_(heads_per_wave(wave_bytes, bytes_per_head(params), num_heads_)),
        lists_(params.selection, stream),
        copies_(params.copies, params.selection.space, stream),
        strands_(lists_.view(), static_cast<int32_t>(params.q.heads), stream),
        q_(params.q, nullptr, params.q.tokens, wave_heads_, stream),
        k_(params.k, lists_.view().key_order, params.selection.num_keys, wave_heads_, stream),
        v_(params.v, lists_.view().key_order, params.selection.num_keys, wave_heads_, stream),
        out_(params.q, params.out, params.lse, wave_heads_, stream),
        merge_states_(wave_heads_ * params.q.tokens, stream) {}

  void run() {
    for (int32_t first = 0; first < num_heads_; first += wave_heads_) {
      run_wave({first, std::min(wave_heads_, num_heads_ - first)});
    }
  }

 private:
  static int64_t bytes_per_head(const SparseAttentionParams& params) {
    const int64_t keys = params.selection.num_keys;
    return WaveRows<Elem>::bytes_per_head(params.q, false, params.q.tokens) +
           WaveRows<Elem>::bytes_per_head(params.k, true, keys) +
           WaveRows<Elem>::bytes_per_head(params.v, true, keys) +
           WaveOutput::bytes_per_head(params.q, params.out) +
           params.q.tokens * static_cast<int64_t>(sizeof(MergeState));
  }

  void run_wave(HeadRange heads) {
    out_.load(heads);
    merge_states_.fill_zero();
    SparseForward<Elem> call{.q = q_.load(heads),
                             .k = k_.load(heads),
                             .v = v_.load(heads),
                             .selection = lists_.view(),
                             .queues = {},
                             .heads = static_cast<int32_t>(params_.q.heads),
                             .scale_log2 = params_.scale * std::numbers::log2e_v<float>,
                             .out = out_.target(heads),
                             .copies = copies_.view(),
                             .first_head = heads.first,
                             .merge_states = merge_states_.data()};
    strands_.find(heads, call.queues);
    kernel_head_dim(params_.q.head_dim) == 64 ? launch<64>(call) : launch<128>(call);
    out_.deliver(heads);
  }

  template <int kHeadDim>
  void launch(const SparseForward<Elem>& call) {
    // Of no keys there is no tensor for the copy engine.
    if (body_ == Body::kSm90 && params_.selection.num_keys > 0) {
      sm90::run_sparse_forward<Elem, kHeadDim>(call, max_strand_blocks(), stream_);
    } else {
      run_sparse_forward<Elem, kHeadDim>(call, max_strand_blocks(), stream_);
    }
  }

  const SparseAttentionParams& params_;
  Body body_;
  cudaStream_t stream_;
  int32_t num_heads_, wave_heads_;  // B * H, those of a wave
  DeviceLists lists_;
  DeviceCopies copies_;
  WaveStrands strands_;
  WaveRows<Elem> q_, k_, v_;
  WaveOutput out_;
  DeviceBuffer<MergeState> merge_states_;  // [wave_heads, S]
};

}  // namespace

void run_sparse_attention(const SparseAttentionParams& params, int64_t wave_bytes, Body body) {
  if (params.selection.num_strands == 0) return;
  if (all_f16({params.q, params.k, params.v})) {
    SparseRun<__half>(params, wave_bytes, body, nullptr).run();
  } else {
    SparseRun<__nv_bfloat16>(params, wave_bytes, body, nullptr).run();
  }
}

void sparse_attention(const SparseAttentionParams& params, Body body) {
  run_sparse_attention(params, kWaveBytes, body);
}

}  // namespace sparsescope::cuda
