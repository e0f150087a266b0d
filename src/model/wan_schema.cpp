#include "model/wan_schema.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "model/fp8_scales.h"

namespace sparsescope {
namespace {

void add_linear(WeightSpecs& specs, const std::string& name, int64_t out, int64_t in,
                bool keep_f32 = false) {
  specs.push_back({name + ".weight", {out, in}, keep_f32});
  specs.push_back({name + ".bias", {out}, keep_f32});
}

void add_layer_norm(WeightSpecs& specs, const std::string& name, int64_t width) {
  specs.push_back({name + ".weight", {width}, true});
  specs.push_back({name + ".bias", {width}, true});
}

// The four projections and two norms that self- and cross-attention share.
void add_attention(WeightSpecs& specs, const std::string& name, int64_t C) {
  for (const char* part : {".to_q", ".to_k", ".to_v", ".to_out.0"}) {
    add_linear(specs, name + part, C, C);
  }
  specs.push_back({name + ".norm_q.weight", {C}, true});
  specs.push_back({name + ".norm_k.weight", {C}, true});
}

int64_t elements_of(const WeightSpecs& specs) {
  int64_t total = 0;
  for (const WeightSpec& spec : specs) total += spec.elements();
  return total;
}

void fetch_all(const StateDict& weights, const WeightSpecs& specs, const std::string& prefix) {
  for (const WeightSpec& spec : specs) {
    weights.fetch(prefix + spec.name, spec.shape);
    weight_scale(weights, prefix + spec.name);
  }
}

// Tensors that are known and deliberately not used.
bool is_ignored(const std::string& name) {
  return name.find(".norm_added_q.") != std::string::npos ||
         name.find(".to_gate_compress.") != std::string::npos;
}

}  // namespace

int64_t WeightSpec::elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

WeightSpecs wan_outer_specs(const WanConfig& config) {
  const int64_t C = config.channels;
  const std::string embedder = "condition_embedder.";
  WeightSpecs specs;
  specs.push_back({"patch_embedding.weight",
                   {C, config.in_channels, config.patch_t, config.patch_h, config.patch_w}});
  specs.push_back({"patch_embedding.bias", {C}});
  specs.push_back({"scale_shift_table", {1, 2, C}, true});
  add_linear(specs, "proj_out", config.out_channels * config.patch_volume(), C, true);
  add_linear(specs, embedder + "time_embedder.linear_1", C, config.freq_dim, true);
  add_linear(specs, embedder + "time_embedder.linear_2", C, C, true);
  add_linear(specs, embedder + "time_proj", 6 * C, C, true);
  add_linear(specs, embedder + "text_embedder.linear_1", C, config.text_dim);
  add_linear(specs, embedder + "text_embedder.linear_2", C, C);
  if (!config.has_image_branch()) return specs;
  const std::string image = embedder + "image_embedder.";
  add_layer_norm(specs, image + "norm1", config.image_dim);
  add_linear(specs, image + "ff.net.0.proj", config.image_dim, config.image_dim);
  add_linear(specs, image + "ff.net.2", C, config.image_dim);
  add_layer_norm(specs, image + "norm2", C);
  if (config.pos_embed_rows > 0) {
    specs.push_back({image + "pos_embed", {1, config.pos_embed_rows, config.image_dim}, true});
  }
  return specs;
}

WeightSpecs wan_block_specs(const WanConfig& config) {
  const int64_t C = config.channels;
  WeightSpecs specs;
  specs.push_back({"scale_shift_table", {1, 6, C}, true});
  if (config.cross_attn_norm) add_layer_norm(specs, "norm2", C);
  add_attention(specs, "attn1", C);
  add_attention(specs, "attn2", C);
  if (config.has_image_branch()) {
    add_linear(specs, "attn2.add_k_proj", C, C);
    add_linear(specs, "attn2.add_v_proj", C, C);
    specs.push_back({"attn2.norm_added_k.weight", {C}, true});
  }
  add_linear(specs, "ffn.net.0.proj", config.ffn_dim, C);
  add_linear(specs, "ffn.net.2", C, config.ffn_dim);
  return specs;
}

std::string wan_block_prefix(int64_t layer) { return fmt::format("blocks.{}.", layer); }

void check_wan_tensors(const StateDict& weights, const WanConfig& config) {
  fetch_all(weights, wan_outer_specs(config), "");
  const WeightSpecs block = wan_block_specs(config);
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    fetch_all(weights, block, wan_block_prefix(layer));
  }
  std::vector<std::string> unknown = weights.unused();
  std::erase_if(unknown, is_ignored);
  if (unknown.empty()) return;
  const size_t count = unknown.size();
  constexpr size_t kListed = 5;
  unknown.resize(std::min(count, kListed));
  fail(ErrorKind::kData,
       "{}: expected no tensors beyond those of WanTransformer3DModel, found {}: {}{}",
       weights.path().string(), count, fmt::join(unknown, ", "), count > kListed ? ", ..." : "");
}

int64_t wan_parameters(const WanConfig& config) {
  return elements_of(wan_outer_specs(config)) +
         config.layers * elements_of(wan_block_specs(config));
}

}  // namespace sparsescope
