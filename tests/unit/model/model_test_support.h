// Independent truth for the tests of the models: the fill rule that the golden values were made
// with, a list of Wan's tensors written by hand, and dense attention as naive loops in double.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_folder.h"
#include "core/error.h"
#include "core/host_tensor.h"
#include "model/video_transformer.h"

namespace sparsescope::testing {

// Values in [-scale, scale] + offset from the tensor's name alone.
std::vector<float> fill_values(const std::string& name, size_t count, double scale, double offset);

using Tensors = std::map<std::string, HostTensor>;

// A filled model parameter: rank 1 has scale 0.25 (around 1 for weights), others 0.5.
HostTensor filled_parameter(const std::string& name, std::vector<int64_t> shape);
// A filled input, scale 1, under the name "input." + key.
HostTensor filled_input(const std::string& key, std::vector<int64_t> shape);

struct TinyWan {
  int64_t heads = 2, head_dim = 12, in_channels = 4, out_channels = 4, text_dim = 16;
  int64_t freq_dim = 256, ffn = 32, layers = 2, image_dim = 0, pos_embed_rows = 0;

  // Under diffusers names; filled by prefix + name, so that another prefix is another model.
  Tensors tensors(const std::string& prefix = {}) const;
  std::string config() const;  // config.json
};

void write_tensors(const std::filesystem::path& path, const Tensors& tensors);
Tensors read_tensors(const std::filesystem::path& path);

// Writes model.safetensors and config.json ("" for none) into folder and opens it.
CheckpointFolder write_checkpoint(const std::filesystem::path& folder, const Tensors& tensors,
                                  const std::string& config);

// A pipeline folder of two experts, opened: transformer, transformer_2 and model_index.json, in
// which boundary_ratio stands as this JSON text.
CheckpointFolder write_two_experts(const std::filesystem::path& folder, const TinyWan& high,
                                   const Tensors& high_tensors, const TinyWan& low,
                                   const Tensors& low_tensors, const std::string& boundary_ratio);

HostTensor copy_of(const AttentionTensor& x);  // [B, H, S, D]

// softmax(scale q K^T) of one row, in double; q [D], k [S, D] -> [S]
std::vector<double> probabilities(const float* q, const float* k, int64_t S, int64_t D,
                                  double scale);

// Dense attention by the definition, keeping what every call received and gave.
class NaiveHook : public AttentionHook {
 public:
  struct Call {
    SiteKey site;
    TokenGrid grid;
    float scale = 0;
    HostTensor q, k, v, out;  // [B, H, S, D]
  };
  void attend(const AttentionCall& call) override;
  std::vector<Call> calls;
};

// The error of a call; the test fails where it does not throw.
Error error_of(const std::function<void()>& call);

}  // namespace sparsescope::testing
