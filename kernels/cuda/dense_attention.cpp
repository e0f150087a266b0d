#include "kernels/cuda/dense_attention.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <memory>
#include <numbers>

#include "core/error.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/dense_dispatch.h"
#include "kernels/cuda/dense_plan.h"
#include "kernels/cuda/head_wave.h"
#include "kernels/cuda/host_masses.h"
#include "kernels/cuda/mass_buffer.h"

namespace sparsescope::cuda {
namespace {

constexpr cudaStream_t kStream = nullptr;
// How many heads and row blocks go together.
struct WaveSizes {
  int32_t heads = 1;        // of a wave: packed keys and values, staged results
  int32_t chunk_heads = 1;  // of them, with masses
  int32_t chunk_blocks = 0;
};

template <typename Elem>
class DenseRun {
 public:
  DenseRun(const DenseAttentionParams& params, Body body, const DenseOptions& options)
      : params_(params),
        body_(body),
        options_(options),
        records_(params.sink.consume != nullptr || options.device_sink.consume != nullptr),
        head_dim_(kernel_head_dim(params.q.head_dim)),
        device_(dense_plan(*params.cells, *params.rows, records_, kStream)),
        plan_(device_->keys) {
    check_shared_memory();
  }

  void run() {
    const DenseAttentionParams& p = params_;
    const auto num_heads = static_cast<int32_t>(p.q.batch * p.q.heads);
    const WaveSizes sizes = wave_sizes(num_heads);
    const DensePlan& device = *device_;
    WaveRows<Elem> q(p.q, nullptr, p.q.tokens, sizes.heads, kStream);
    WaveRows<Elem> k(p.k, device.tokens.data(), plan_.tokens.size(), sizes.heads, kStream);
    WaveRows<Elem> v(p.v, device.tokens.data(), plan_.tokens.size(), sizes.heads, kStream);
    WaveOutput out(p.q, p.out, p.lse, sizes.heads, kStream);
    MassBuffer masses(plan_, int64_t{sizes.chunk_heads} * sizes.chunk_blocks, kStream);
    for (int32_t first = 0; first < num_heads; first += sizes.heads) {
      const HeadRange wave{first, std::min(sizes.heads, num_heads - first)};
      DenseForward<Elem> call{.q = q.load(wave),
                              .k = k.load(wave),
                              .v = v.load(wave),
                              .valid = device.valid.data(),
                              .num_key_blocks = plan_.num_blocks(),
                              .row_order = device.row_order.data(),
                              .scale_log2 = p.scale * std::numbers::log2e_v<float>,
                              .out = out.target(wave)};
      const int32_t recorded = records_ ? num_video_blocks() : 0;
      if (recorded > 0) record(call, wave, sizes, masses);
      attend(call, wave, recorded, static_cast<int32_t>(p.rows->blocks.size()) - recorded);
      out.deliver(wave);
    }
  }

 private:
  int32_t num_video_blocks() const {
    const RowGroups& rows = *params_.rows;
    const auto video = static_cast<size_t>(rows.num_video_groups);
    return video < rows.groups.size() ? rows.groups[video].first_block
                                      : static_cast<int32_t>(rows.blocks.size());
  }

  void check_shared_memory() const {
    int device = 0, limit = 0;
    check_cuda(cudaGetDevice(&device), "reading the current device");
    check_cuda(cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
               "reading the size of shared memory");
    const int64_t needed = dense_shared_bytes(body_, head_dim_, plan_.num_bins);
    SPARSESCOPE_CHECK(ErrorKind::kUnsupported, needed <= limit,
                      "CUDA attention with masses: a grid of {} keeps T + Hg + Wg = {} sums a row "
                      "and needs {} bytes of shared memory, this GPU has {}",
                      to_string(params_.cells->tiles.grid()), plan_.num_bins, needed, limit);
  }

  WaveSizes wave_sizes(int32_t num_heads) const {
    const DenseAttentionParams& p = params_;
    const auto slots = static_cast<int64_t>(plan_.tokens.size());
    const int64_t per_head = WaveRows<Elem>::bytes_per_head(p.q, false, p.q.tokens) +
                             WaveRows<Elem>::bytes_per_head(p.k, true, slots) +
                             WaveRows<Elem>::bytes_per_head(p.v, true, slots) +
                             WaveOutput::bytes_per_head(p.q, p.out);
    const auto clamp_heads = [](int64_t heads, int32_t most) {
      return static_cast<int32_t>(std::clamp<int64_t>(heads, 1, most));
    };
    WaveSizes sizes;
    if (!records_) {
      sizes.heads = clamp_heads(options_.memory_bytes / per_head, num_heads);
      return sizes;
    }
    const int64_t half = options_.memory_bytes / 2;
    sizes.heads = clamp_heads(half / per_head, num_heads);
    int32_t largest_group = 1;
    for (int32_t g = 0; g < p.rows->num_video_groups; ++g) {
      largest_group = std::max(largest_group, p.rows->groups[g].num_blocks);
    }
    int64_t items = half / MassBuffer::bytes_per_item(plan_);
    // Launches of full rounds leave no multiprocessor idle.
    const int64_t round =
        int64_t{current_device().multiprocessors} * dense_row_blocks(body_, head_dim_, true);
    if (items > round) items -= items % round;
    sizes.chunk_heads = clamp_heads(items / largest_group, sizes.heads);
    sizes.chunk_blocks = static_cast<int32_t>(std::clamp<int64_t>(
        items / sizes.chunk_heads, largest_group, std::max(largest_group, num_video_blocks())));
    return sizes;
  }

  // Row blocks [first_block, first_block + num_blocks) of the heads.
  void attend(DenseForward<Elem>& call, HeadRange heads, int32_t first_block,
              int32_t num_blocks) const {
    if (num_blocks == 0) return;
    call.first_head = heads.first;
    call.num_heads = heads.count;
    call.row_blocks = device_->row_blocks.data() + first_block;
    call.num_row_blocks = num_blocks;
    run_dense(body_, head_dim_, call, kStream);
  }

  // All video rows of the wave, chunk by chunk.
  void record(DenseForward<Elem>& call, HeadRange wave, const WaveSizes& sizes,
              MassBuffer& buffer) const {
    const RowGroups& rows = *params_.rows;
    for (int32_t h = 0; h < wave.count; h += sizes.chunk_heads) {
      const HeadRange heads{wave.first + h, std::min(sizes.chunk_heads, wave.count - h)};
      for (int32_t group = 0; group < rows.num_video_groups;) {
        const int32_t first_group = group, first_block = rows.groups[group].first_block;
        int32_t num_blocks = 0;
        while (group < rows.num_video_groups &&
               num_blocks + rows.groups[group].num_blocks <= sizes.chunk_blocks) {
          num_blocks += rows.groups[group++].num_blocks;
        }
        call.masses = buffer.output(int64_t{heads.count} * num_blocks);
        call.masses.blocks = device_->blocks.data();
        call.masses.bricks = device_->bricks.data();
        attend(call, heads, first_block, num_blocks);
        MassChunk chunk = as_chunk(call.masses);
        chunk.first_head = heads.first;
        chunk.num_heads = heads.count;
        chunk.first_row_block = first_block;
        chunk.num_row_blocks = num_blocks;
        chunk.piece_cell = device_->piece_cell.data();
        if (options_.device_sink.consume != nullptr) {
          options_.device_sink.consume(options_.device_sink.context, chunk, kStream);
        } else {
          deliver_to_host(params_, plan_, chunk, first_group, group - first_group, kStream);
        }
      }
    }
    call.masses = {};
  }

  const DenseAttentionParams& params_;
  Body body_;
  const DenseOptions& options_;
  bool records_;
  int32_t head_dim_;
  std::shared_ptr<const DensePlan> device_;
  const KeyPlan& plan_;
};

}  // namespace

void attend_dense(const DenseAttentionParams& params, Body body, const DenseOptions& options) {
  if (params.q.batch * params.q.heads * params.q.tokens == 0) return;
  const bool all_f16 = params.q.dtype == Dtype::kF16 && params.k.dtype == Dtype::kF16 &&
                       params.v.dtype == Dtype::kF16;
  if (all_f16) {
    DenseRun<__half>(params, body, options).run();
  } else {
    DenseRun<__nv_bfloat16>(params, body, options).run();
  }
}

void dense_attention(const DenseAttentionParams& params, Body body) {
  attend_dense(params, body, {});
}

void dense_attention(const DenseAttentionParams& params, Body body, const DeviceMassSink& sink) {
  attend_dense(params, body, {.device_sink = sink});
}

}  // namespace sparsescope::cuda
