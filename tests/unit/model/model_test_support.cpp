#include "unit/model/model_test_support.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>

#include "checkpoint/safetensors.h"
#include "core/dtype.h"

namespace sparsescope::testing {
namespace {

uint64_t fnv1a(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

// Collects the parameters of a model by name and shape.
class Builder {
 public:
  explicit Builder(std::string prefix) : prefix_(std::move(prefix)) {}

  void add(const std::string& name, std::vector<int64_t> shape) {
    tensors[name] = filled_parameter(prefix_ + name, std::move(shape));
  }
  void linear(const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  void affine(const std::string& name, int64_t width) {
    add(name + ".weight", {width});
    add(name + ".bias", {width});
  }
  Tensors tensors;

 private:
  std::string prefix_;
};

void add_block(Builder& builder, const std::string& block, int64_t C, const TinyWan& wan) {
  builder.add(block + "scale_shift_table", {1, 6, C});
  builder.affine(block + "norm2", C);
  for (const std::string attention : {"attn1.", "attn2."}) {
    for (const char* part : {"to_q", "to_k", "to_v", "to_out.0"}) {
      builder.linear(block + attention + part, C, C);
    }
    builder.add(block + attention + "norm_q.weight", {C});
    builder.add(block + attention + "norm_k.weight", {C});
  }
  builder.linear(block + "ffn.net.0.proj", wan.ffn, C);
  builder.linear(block + "ffn.net.2", C, wan.ffn);
  if (wan.image_dim == 0) return;
  builder.linear(block + "attn2.add_k_proj", C, C);
  builder.linear(block + "attn2.add_v_proj", C, C);
  builder.add(block + "attn2.norm_added_k.weight", {C});
}

float element(const AttentionTensor& x, int64_t b, int64_t h, int64_t s, int64_t d) {
  const int64_t at = b * x.stride_batch + h * x.stride_head + s * x.stride_token + d;
  if (x.dtype == Dtype::kF32) return static_cast<const float*>(x.data)[at];
  return bf16_to_float(static_cast<const uint16_t*>(x.data)[at]);
}

}  // namespace

std::vector<float> fill_values(const std::string& name, size_t count, double scale, double offset) {
  const uint64_t hash = fnv1a(name);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    uint64_t z = hash + (i + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    const double u = static_cast<double>(z >> 40) / 16777216.0;
    values[i] = static_cast<float>((2.0 * u - 1.0) * scale + offset);
  }
  return values;
}

HostTensor filled_parameter(const std::string& name, std::vector<int64_t> shape) {
  HostTensor tensor = HostTensor::zeros(std::move(shape));
  const bool vector = tensor.shape.size() == 1;
  const double offset = vector && name.ends_with(".weight") ? 1.0 : 0.0;
  tensor.values = fill_values(name, tensor.values.size(), vector ? 0.25 : 0.5, offset);
  return tensor;
}

HostTensor filled_input(const std::string& key, std::vector<int64_t> shape) {
  HostTensor tensor = HostTensor::zeros(std::move(shape));
  tensor.values = fill_values("input." + key, tensor.values.size(), 1.0, 0.0);
  return tensor;
}

Tensors TinyWan::tensors(const std::string& prefix) const {
  const int64_t C = heads * head_dim;
  Builder builder(prefix);
  builder.add("patch_embedding.weight", {C, in_channels, 1, 2, 2});
  builder.add("patch_embedding.bias", {C});
  builder.add("scale_shift_table", {1, 2, C});
  builder.linear("proj_out", out_channels * 4, C);
  builder.linear("condition_embedder.time_embedder.linear_1", C, freq_dim);
  builder.linear("condition_embedder.time_embedder.linear_2", C, C);
  builder.linear("condition_embedder.time_proj", 6 * C, C);
  builder.linear("condition_embedder.text_embedder.linear_1", C, text_dim);
  builder.linear("condition_embedder.text_embedder.linear_2", C, C);
  if (image_dim > 0) {
    builder.affine("condition_embedder.image_embedder.norm1", image_dim);
    builder.linear("condition_embedder.image_embedder.ff.net.0.proj", image_dim, image_dim);
    builder.linear("condition_embedder.image_embedder.ff.net.2", C, image_dim);
    builder.affine("condition_embedder.image_embedder.norm2", C);
  }
  if (pos_embed_rows > 0) {
    builder.add("condition_embedder.image_embedder.pos_embed", {1, pos_embed_rows, image_dim});
  }
  for (int64_t i = 0; i < layers; ++i) add_block(builder, fmt::format("blocks.{}.", i), C, *this);
  return builder.tensors;
}

std::string TinyWan::config() const {
  const auto optional = [](int64_t value) { return value > 0 ? std::to_string(value) : "null"; };
  return fmt::format(
      R"({{"_class_name": "WanTransformer3DModel", "added_kv_proj_dim": {},
 "attention_head_dim": {}, "cross_attn_norm": true, "eps": 1e-06, "ffn_dim": {}, "freq_dim": {},
 "image_dim": {}, "in_channels": {}, "num_attention_heads": {}, "num_layers": {},
 "out_channels": {}, "patch_size": [1, 2, 2], "pos_embed_seq_len": {},
 "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 32, "text_dim": {}}})",
      optional(image_dim > 0 ? heads * head_dim : 0), head_dim, ffn, freq_dim, optional(image_dim),
      in_channels, heads, layers, out_channels, optional(pos_embed_rows), text_dim);
}

void write_tensors(const std::filesystem::path& path, const Tensors& tensors) {
  std::vector<TensorToWrite> list;
  for (const auto& [name, tensor] : tensors) {
    list.push_back({name, Dtype::kF32, tensor.shape, bytes_of(tensor.values)});
  }
  write_safetensors(path, std::move(list), {}, false);
}

Tensors read_tensors(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  Tensors tensors;
  for (const TensorInfo& info : file.tensors()) {
    tensors[info.name] = {info.shape, to_float(file.fetch(info.name), info.name)};
  }
  return tensors;
}

CheckpointFolder write_checkpoint(const std::filesystem::path& folder, const Tensors& tensors,
                                  const std::string& config) {
  std::filesystem::create_directories(folder);
  write_tensors(folder / "model.safetensors", tensors);
  if (!config.empty()) std::ofstream(folder / "config.json") << config;
  return open_checkpoint_folder(folder);
}

CheckpointFolder write_two_experts(const std::filesystem::path& folder, const TinyWan& high,
                                   const Tensors& high_tensors, const TinyWan& low,
                                   const Tensors& low_tensors, const std::string& boundary_ratio) {
  write_checkpoint(folder / "transformer", high_tensors, high.config());
  write_checkpoint(folder / "transformer_2", low_tensors, low.config());
  std::ofstream(folder / "model_index.json")
      << R"({"_class_name": "WanPipeline", "boundary_ratio": )" << boundary_ratio << "}";
  return open_checkpoint_folder(folder);
}

HostTensor copy_of(const AttentionTensor& x) {
  HostTensor copy{{x.batch, x.heads, x.tokens, x.head_dim}, {}};
  for (int64_t b = 0; b < x.batch; ++b) {
    for (int64_t h = 0; h < x.heads; ++h) {
      for (int64_t s = 0; s < x.tokens; ++s) {
        for (int64_t d = 0; d < x.head_dim; ++d) copy.values.push_back(element(x, b, h, s, d));
      }
    }
  }
  return copy;
}

std::vector<double> probabilities(const float* q, const float* k, int64_t S, int64_t D,
                                  double scale) {
  std::vector<double> p(static_cast<size_t>(S));
  double largest = -INFINITY, sum = 0;
  for (int64_t c = 0; c < S; ++c) {
    double dot = 0;
    for (int64_t d = 0; d < D; ++d) dot += static_cast<double>(q[d]) * k[c * D + d];
    p[static_cast<size_t>(c)] = dot * scale;
    largest = std::max(largest, dot * scale);
  }
  for (double& value : p) sum += value = std::exp(value - largest);
  for (double& value : p) value /= sum;
  return p;
}

void NaiveHook::attend(const AttentionCall& call) {
  Call record{call.site,       call.grid,       call.scale, copy_of(call.q),
              copy_of(call.k), copy_of(call.v), {}};
  const int64_t B = call.q.batch, H = call.q.heads, S = call.q.tokens, D = call.q.head_dim;
  record.out = HostTensor::zeros({B, H, S, D});
  for (int64_t head = 0; head < B * H; ++head) {
    const int64_t first = head * S * D;
    for (int64_t s = 0; s < S; ++s) {
      const std::vector<double> p =
          probabilities(&record.q.values[static_cast<size_t>(first + s * D)],
                        &record.k.values[static_cast<size_t>(first)], S, D, call.scale);
      std::vector<double> row(static_cast<size_t>(D));
      for (int64_t c = 0; c < S; ++c) {
        const float* v = &record.v.values[static_cast<size_t>(first + c * D)];
        for (int64_t d = 0; d < D; ++d) {
          row[static_cast<size_t>(d)] += p[static_cast<size_t>(c)] * v[d];
        }
      }
      float* out = call.out.data + head / H * call.out.stride_batch +
                   head % H * call.out.stride_head + s * call.out.stride_token;
      for (int64_t d = 0; d < D; ++d) {
        out[d] = static_cast<float>(row[static_cast<size_t>(d)]);
        record.out.values[static_cast<size_t>(first + s * D + d)] = out[d];
      }
    }
  }
  calls.push_back(std::move(record));
}

Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an Error, found none";
  return Error(ErrorKind::kInternal, "no error");
}

}  // namespace sparsescope::testing
