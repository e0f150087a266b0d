#include "model/wan_config.h"

#include <charconv>
#include <limits>
#include <set>
#include <string_view>

#include "core/error.h"
#include "core/tensor_view.h"

namespace sparsescope {
namespace {

// The head dim of every published Wan, for checkpoints without a config.
constexpr int64_t kPublishedHeadDim = 128;

// Values of config.json under their diffusers and Wan-AI spellings, absent or null as nullopt.
class ConfigReader {
 public:
  explicit ConfigReader(const std::optional<Json>& config) : config_(config) {}

  std::optional<int64_t> integer(const std::string& key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
    const int64_t number = value->is_number_integer() ? value->get<int64_t>() : 0;
    SPARSESCOPE_CHECK(ErrorKind::kData, number > 0 && number <= kLargest,
                      "config.json: {}: expected a positive integer, found {}", key, value->dump());
    return number;
  }

  std::optional<int64_t> integer(const std::string& key, const std::string& original) const {
    const std::optional<int64_t> value = integer(key);
    return value ? value : integer(original);
  }

  std::optional<double> number(const std::string& key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    SPARSESCOPE_CHECK(ErrorKind::kData, value->is_number() && value->get<double>() > 0,
                      "config.json: {}: expected a positive number, found {}", key, value->dump());
    return value->get<double>();
  }

  const Json* find(const std::string& key) const {
    if (!config_ || !config_->is_object()) return nullptr;
    const auto it = config_->find(key);
    return it == config_->end() || it->is_null() ? nullptr : &*it;
  }

 private:
  const std::optional<Json>& config_;
};

int64_t dim_of(const StateDict& weights, const std::string& name, size_t rank, size_t axis) {
  const TensorInfo& info = weights.info(name);
  SPARSESCOPE_CHECK(ErrorKind::kData, info.shape.size() == rank && info.shape[axis] > 0,
                    "{}: {}: expected {} positive dimensions, found {}", weights.path().string(),
                    name, rank, shape_to_string(info.shape));
  return info.shape[axis];
}

// Number of transformer blocks; their indices must be 0 .. L-1.
int64_t count_blocks(const StateDict& weights) {
  constexpr std::string_view kPrefix = "blocks.";
  std::set<int64_t> indices;
  for (const std::string& name : weights.names()) {
    if (!name.starts_with(kPrefix)) continue;
    int64_t index = -1;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, index);
    if (error == std::errc() && stop != end && *stop == '.' && index >= 0) indices.insert(index);
  }
  const auto layers = static_cast<int64_t>(indices.size());
  SPARSESCOPE_CHECK(ErrorKind::kData, layers > 0, "{}: expected tensors blocks.0.*, found none",
                    weights.path().string());
  int64_t expected = 0;
  for (const int64_t index : indices) {
    SPARSESCOPE_CHECK(ErrorKind::kData, index == expected,
                      "{}: expected tensors blocks.{}.*, found none although blocks.{}.* exist",
                      weights.path().string(), expected, *indices.rbegin());
    ++expected;
  }
  return layers;
}

// Heads and head dim: a product that tensors fix and a factor that only the config knows.
void split_heads(const StateDict& weights, const ConfigReader& reader, WanConfig& config) {
  const int64_t C = config.channels;
  const auto heads = reader.integer("num_attention_heads", "num_heads");
  const auto head_dim = reader.integer("attention_head_dim");
  config.head_dim = head_dim ? *head_dim : heads ? C / *heads : kPublishedHeadDim;
  config.heads = heads ? *heads : C / config.head_dim;
  SPARSESCOPE_CHECK(
      ErrorKind::kData, config.heads * config.head_dim == C,
      "{}: expected heads x head dim = {} (the width of scale_shift_table), found {} x "
      "{} {}",
      weights.path().string(), C, config.heads, config.head_dim,
      heads || head_dim ? "in config.json" : "without a config.json");
  SPARSESCOPE_CHECK(
      ErrorKind::kData, config.head_dim % 2 == 0 && config.head_dim >= 6,
      "{}: expected an even head dim of at least 6 for the rotary embedding, found {}",
      weights.path().string(), config.head_dim);
}

// Names both values where the config says something else than the tensors.
void compare(const std::string& key, std::optional<int64_t> stated, int64_t found,
             std::vector<std::string>& warnings) {
  if (!stated || *stated == found) return;
  warnings.push_back(fmt::format("config.json: {} is {}, the tensors say {}: loaded by the tensors",
                                 key, *stated, found));
}

void compare_with_config(const ConfigReader& reader, const WanConfig& config,
                         std::vector<std::string>& warnings) {
  compare("num_layers", reader.integer("num_layers"), config.layers, warnings);
  compare("in_channels", reader.integer("in_channels", "in_dim"), config.in_channels, warnings);
  compare("out_channels", reader.integer("out_channels", "out_dim"), config.out_channels, warnings);
  compare("ffn_dim", reader.integer("ffn_dim"), config.ffn_dim, warnings);
  compare("freq_dim", reader.integer("freq_dim"), config.freq_dim, warnings);
  compare("text_dim", reader.integer("text_dim"), config.text_dim, warnings);
  compare("dim", reader.integer("dim"), config.channels, warnings);
  compare("image_dim", reader.integer("image_dim"), config.image_dim, warnings);
  compare("added_kv_proj_dim", reader.integer("added_kv_proj_dim"),
          config.has_image_branch() ? config.channels : 0, warnings);
  compare("pos_embed_seq_len", reader.integer("pos_embed_seq_len"), config.pos_embed_rows,
          warnings);
  const Json* norm = reader.find("cross_attn_norm");
  if (norm != nullptr && norm->is_boolean() && norm->get<bool>() != config.cross_attn_norm) {
    warnings.push_back(
        fmt::format("config.json: cross_attn_norm is {}, the tensors say {}: loaded by the tensors",
                    norm->get<bool>(), config.cross_attn_norm));
  }
  const Json patch = {config.patch_t, config.patch_h, config.patch_w};
  const Json* stated = reader.find("patch_size");
  if (stated != nullptr && *stated != patch) {
    warnings.push_back(
        fmt::format("config.json: patch_size is {}, the tensors say {}: loaded by the tensors",
                    stated->dump(), patch.dump()));
  }
}

bool has_gate(const StateDict& weights) {
  return weights.contains("blocks.0.to_gate_compress.weight") ||
         weights.contains("blocks.0.attn1.to_gate_compress.weight");
}

}  // namespace

WanConfig detect_wan_config(const StateDict& weights, const std::optional<Json>& config,
                            std::vector<std::string>& warnings) {
  const ConfigReader reader(config);
  const std::string patch = "patch_embedding.weight";  // [C, Cin, pt, ph, pw]
  const std::string time = "condition_embedder.time_embedder.linear_1.weight";
  const std::string text = "condition_embedder.text_embedder.linear_1.weight";
  const std::string image = "condition_embedder.image_embedder.";
  WanConfig found;
  found.layers = count_blocks(weights);
  found.channels = dim_of(weights, "scale_shift_table", 3, 2);
  split_heads(weights, reader, found);
  found.in_channels = dim_of(weights, patch, 5, 1);
  found.patch_t = dim_of(weights, patch, 5, 2);
  found.patch_h = dim_of(weights, patch, 5, 3);
  found.patch_w = dim_of(weights, patch, 5, 4);
  found.out_channels = dim_of(weights, "proj_out.weight", 2, 0) / found.patch_volume();
  found.freq_dim = dim_of(weights, time, 2, 1);
  SPARSESCOPE_CHECK(ErrorKind::kData, found.freq_dim % 2 == 0,
                    "{}: {}: expected an even width (sines and cosines), found {}",
                    weights.path().string(), time, found.freq_dim);
  found.text_dim = dim_of(weights, text, 2, 1);
  found.ffn_dim = dim_of(weights, "blocks.0.ffn.net.0.proj.weight", 2, 0);
  found.cross_attn_norm = weights.contains("blocks.0.norm2.weight");
  found.has_gate_compress = has_gate(weights);
  if (weights.contains(image + "norm1.weight") &&
      weights.contains("blocks.0.attn2.add_k_proj.weight")) {
    found.image_dim = dim_of(weights, image + "norm1.weight", 1, 0);
    if (weights.contains(image + "pos_embed")) {
      found.pos_embed_rows = dim_of(weights, image + "pos_embed", 3, 1);
    }
  }
  found.eps = reader.number("eps").value_or(found.eps);
  found.max_axis = reader.integer("rope_max_seq_len").value_or(found.max_axis);
  const int64_t stated_layers = reader.integer("num_layers").value_or(found.layers);
  SPARSESCOPE_CHECK(ErrorKind::kData, stated_layers <= found.layers,
                    "{}: expected {} blocks (num_layers of config.json), found tensors of {}",
                    weights.path().string(), stated_layers, found.layers);
  compare_with_config(reader, found, warnings);
  return found;
}

std::string wan_variant(const WanConfig& config) {
  if (config.pos_embed_rows > 0) return "first-last-frame-to-video";
  // Wan 2.2 A14B has no image branch: its first frame comes in through the channels alone.
  if (config.has_image_branch() || config.in_channels > config.out_channels) {
    return "image-to-video";
  }
  return "text-to-video";
}

}  // namespace sparsescope
