// A video diffusion transformer as the rest of the program sees it: named inputs in, the model's
// output back, every self-attention handed to a hook. LibTorch stays behind this interface.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/state_dict.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/host_tensor.h"
#include "core/progress.h"
#include "model/differentiable_hook.h"

namespace sparsescope {

struct ModelInfo {
  std::string family;                           // "wan"
  std::string class_name;                       // the diffusers class: "WanTransformer3DModel"
  std::string variant;                          // "text-to-video", "image-to-video", ...
  int64_t layers = 0, heads = 0, head_dim = 0;  // L, H, D
  int64_t patch_t = 1, patch_h = 2, patch_w = 2;
  int64_t in_channels = 0, out_channels = 0;
  int64_t text_dim = 0;
  int64_t ffn_dim = 0;
  int64_t image_rows = 0;  // of an image branch in cross-attention; 0: none
  int64_t parameters = 0;
  bool has_gate_compress = false;          // VSA's coarse gate weights
  std::string checkpoint_hash;             // of load_transformer; empty from describe_checkpoint
  std::vector<std::string> expert_hashes;  // of two experts, whose joint hash stands above
  std::vector<std::string> layer_names;    // [L] "blocks.0.attn1", ...
  std::vector<std::string> warnings;
};

struct LoadOptions {
  Dtype compute = Dtype::kF32;  // kF32 or kBF16
  // Bytes for weights where the model runs. Less than the weights: streamed by block. 0: no bound
  // on the host, a share of the free memory on a GPU.
  int64_t max_memory = 0;
  int threads = 1;
  Device device;
};

// Arguments by their diffusers names. Integers (timestep may be I64) are given as exact floats.
using ModelInputs = std::map<std::string, HostTensor>;

// Chooses from a model's output what to differentiate: tensors of the output's shape, any number.
using Directions = std::function<std::vector<HostTensor>(const HostTensor& output)>;

class VideoTransformer {
 public:
  virtual ~VideoTransformer() = default;
  virtual const ModelInfo& info() const = 0;
  // Token grid of a latent [B, C, F, Hl, Wl]; Error(kUsage) where the patch does not divide it.
  virtual TokenGrid token_grid(const std::vector<int64_t>& latent_shape) const = 0;
  // One forward pass; site.layer is filled in per layer. Error(kData) for missing, superfluous or
  // wrongly shaped inputs: name, expected, found.
  virtual HostTensor forward(const ModelInputs& inputs, const SiteKey& site,
                             AttentionHook& hook) = 0;
  // The output of forward(inputs, site, forward), and the gradient of <output, direction> for each
  // direction, back to the first layer: blocks run again, the last one first, with backward as
  // attention, and each direction's gradient at a call goes to backward.attend_backward. Memory:
  // the inputs of all blocks and the graph of one. Error(kUnsupported) where the family has none.
  virtual HostTensor pull_back(const ModelInputs& inputs, const SiteKey& site,
                               AttentionHook& forward, DifferentiableHook& backward,
                               const Directions& directions);
};

// Error(kUnsupported) for another compute type, Error(kUsage) for numbers out of range.
void check_load_options(const LoadOptions& options);

// Detects the family from the tensors (config.json only fills what tensors cannot tell).
// Error(kUnsupported) lists the supported families.
std::unique_ptr<VideoTransformer> load_transformer(const CheckpointFolder& folder,
                                                   const LoadOptions& options);

// What can be said without building the model: for `inspect`.
ModelInfo describe_checkpoint(const CheckpointFolder& folder, const StateDict& weights);

}  // namespace sparsescope
