#include "model/wan_transformer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"
#include "model/block_store.h"
#include "model/rope.h"
#include "model/torch_util.h"
#include "model/wan_block.h"
#include "model/wan_embeddings.h"
#include "model/wan_inputs.h"
#include "model/wan_pull_back.h"
#include "model/wan_schema.h"
#include "model/weight_map.h"

namespace sparsescope {
namespace {

// How many blocks stay in memory beside the outer weights and the streamed blocks.
int64_t count_resident_blocks(const WanConfig& config, const LoadOptions& options,
                              at::ScalarType compute) {
  const int64_t outer = weight_bytes(wan_outer_specs(config), compute);
  const int64_t block = weight_bytes(wan_block_specs(config), compute);
  const int64_t bound =
      options.max_memory > 0 ? options.max_memory : default_weight_bound(options.device);
  if (bound == 0 || outer + config.layers * block <= bound) return config.layers;
  const int64_t streamed = BlockStore::streamed_at_once(options.device.is_cuda());
  SPARSESCOPE_CHECK(ErrorKind::kResource, bound >= outer + streamed * block,
                    "weights: expected a memory bound of at least {} bytes ({} outside the blocks "
                    "and {} of {} each), found {}",
                    outer + streamed * block, outer, streamed == 1 ? "one block" : "two blocks",
                    block, bound);
  return std::min((bound - outer) / block - streamed, config.layers);
}

class WanTransformer : public VideoTransformer {
 public:
  WanTransformer(DetectedModel model, const LoadOptions& options)
      : weights_(std::move(model.weights)),
        config_(model.config),
        info_(std::move(model.info)),
        compute_(compute_type(options.compute)),
        threads_(options.threads),
        device_(torch_device(options.device)) {
    at::set_num_threads(threads_);
    const c10::NoGradGuard guard;
    outer_ = WeightMap::load(weights_, wan_outer_specs(config_), "", compute_).moved_to(device_);
    const int64_t resident = count_resident_blocks(config_, options, compute_);
    blocks_.emplace([this](int64_t layer) { return load_block(layer); }, config_.layers, resident,
                    device_, device_.is_cuda());
  }

  const ModelInfo& info() const override { return info_; }

  TokenGrid token_grid(const std::vector<int64_t>& latent_shape) const override {
    return wan_token_grid(latent_shape, config_, ErrorKind::kUsage);
  }

  HostTensor forward(const ModelInputs& inputs, const SiteKey& site, AttentionHook& hook) override {
    const WanInputs checked = check_wan_inputs(inputs, config_);
    return with_torch_errors([&] {
      at::set_num_threads(threads_);
      const c10::NoGradGuard guard;
      const WanPass pass = prepare(checked, hook);
      return to_host(project(run_blocks(checked, pass, site, nullptr), pass));
    });
  }

  HostTensor pull_back(const ModelInputs& inputs, const SiteKey& site, AttentionHook& forward,
                       DifferentiableHook& backward, const Directions& directions) override {
    const WanInputs checked = check_wan_inputs(inputs, config_);
    return with_torch_errors([&] {
      at::set_num_threads(threads_);
      const c10::NoGradGuard guard;
      const WanPass pass = prepare(checked, forward);
      std::vector<at::Tensor> block_inputs;                                 // [layers] [B, S, C]
      const at::Tensor x = run_blocks(checked, pass, site, &block_inputs);  // [B, S, C]
      HostTensor output = to_host(project(x, pass));
      pull_back_blocks(pull_back_output(x, pass, directions(output)), std::move(block_inputs), pass,
                       site, backward);
      return output;
    });
  }

 private:
  WeightMap load_block(int64_t layer) const {
    return WeightMap::load(weights_, wan_block_specs(config_), wan_block_prefix(layer), compute_);
  }

  at::Tensor input(const HostTensor& tensor) const { return view_of(tensor).to(device_); }

  // What enters the output projection, [B, S, C]; keeps every block's input unless null.
  at::Tensor run_blocks(const WanInputs& inputs, const WanPass& pass, SiteKey site,
                        std::vector<at::Tensor>* block_inputs) {
    at::Tensor x =
        embed_patches(input(*inputs.hidden_states), inputs.grid, config_, outer_);  // [B, S, C]
    for (site.layer = 0; site.layer < config_.layers; ++site.layer) {
      if (block_inputs != nullptr) block_inputs->push_back(x);
      x = blocks_->with(site.layer, [&](const WeightMap& weights) {
        return run_wan_block(x, weights, pass, site);
      });
    }
    return x;
  }

  // x [B, S, C] -> [B, Cout, F, Hl, Wl]
  at::Tensor project(const at::Tensor& x, const WanPass& pass) const {
    return project_out(x, pass.grid, pass.time, config_, outer_);
  }

  // The gradients of <project(x), direction>, each [B, S, C].
  std::vector<at::Tensor> pull_back_output(const at::Tensor& x, const WanPass& pass,
                                           const std::vector<HostTensor>& directions) const {
    std::vector<at::Tensor> d_output;
    for (const HostTensor& direction : directions) d_output.push_back(input(direction));
    return pull_back_part(x, d_output, [&](const at::Tensor& leaf) { return project(leaf, pass); });
  }

  void pull_back_blocks(std::vector<at::Tensor> gradients, std::vector<at::Tensor> block_inputs,
                        const WanPass& pass, SiteKey site, DifferentiableHook& hook) {
    if (gradients.empty()) return;
    for (site.layer = config_.layers - 1; site.layer >= 0; --site.layer) {
      blocks_->with(site.layer, [&](const WeightMap& weights) {
        pull_back_wan_block(block_inputs.back(), weights, pass, site, hook, gradients);
      });
      block_inputs.pop_back();
    }
  }

  WanPass prepare(const WanInputs& inputs, AttentionHook& hook) {
    if (!(inputs.grid == rope_grid_)) {
      rope_ = rope_table(inputs.grid, config_.head_dim).to(device_);  // [S, 1, D/2]
      rope_grid_ = inputs.grid;
    }
    WanPass pass{.config = &config_, .grid = inputs.grid, .rope = rope_, .hook = &hook};
    pass.time = embed_time(input(*inputs.timestep), config_, outer_);
    pass.text = embed_text(input(*inputs.encoder_hidden_states), outer_);  // [B, L, C]
    if (inputs.encoder_hidden_states_image != nullptr) {
      pass.image =
          embed_image(input(*inputs.encoder_hidden_states_image), config_, outer_);  // [B, R, C]
    }
    return pass;
  }

  StateDict weights_;
  WanConfig config_;
  ModelInfo info_;
  at::ScalarType compute_;
  int threads_;
  at::Device device_;
  WeightMap outer_;
  std::optional<BlockStore> blocks_;  // set by the constructor, once the device is known
  TokenGrid rope_grid_;
  at::Tensor rope_;  // of rope_grid_
};

}  // namespace

int64_t wan_resident_bytes(const WanConfig& config, const LoadOptions& options) {
  const at::ScalarType compute = compute_type(options.compute);
  const int64_t block = weight_bytes(wan_block_specs(config), compute);
  const int64_t resident = count_resident_blocks(config, options, compute);
  const int64_t streamed =
      resident < config.layers ? BlockStore::streamed_at_once(options.device.is_cuda()) : 0;
  return weight_bytes(wan_outer_specs(config), compute) + (resident + streamed) * block;
}

std::unique_ptr<VideoTransformer> make_wan_transformer(DetectedModel model,
                                                       const LoadOptions& options) {
  return with_torch_errors([&]() -> std::unique_ptr<VideoTransformer> {
    return std::make_unique<WanTransformer>(std::move(model), options);
  });
}

}  // namespace sparsescope
