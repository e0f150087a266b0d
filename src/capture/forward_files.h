// One forward pass from file to file: named inputs in, `sample` and the captured q.L, k.L, v.L out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "core/host_tensor.h"
#include "model/attention_hook.h"
#include "model/video_transformer.h"

namespace sparsescope {

// Every tensor of a safetensors file as fp32. Error(kData) for an integer that fp32 cannot hold.
ModelInputs read_model_inputs(const std::filesystem::path& path);

// "0,3", "all" or "" (none) as layer indices; Error(kUsage) for a layer that does not exist.
std::set<int64_t> parse_layers(const std::string& text, int64_t layers);

struct ForwardResult {
  std::vector<int64_t> sample_shape;  // [B, Cout, F, Hl, Wl]
  double seconds = 0;                 // of the forward pass alone
};

// Runs the model on inputs with hook as its attention, and writes out atomically.
ForwardResult forward_to_file(VideoTransformer& model, const ModelInputs& inputs,
                              const std::set<int64_t>& captured_layers, AttentionHook& hook,
                              const std::filesystem::path& out, bool replace);

}  // namespace sparsescope
