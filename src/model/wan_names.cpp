#include "model/wan_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>
#include <vector>

namespace sparsescope {
namespace {

// '*' stands for a block's index. A module's name is followed by one more component (weight, bias,
// weight_scale, ...), a tensor's name is complete.
struct Rule {
  std::string_view from;
  std::string_view to;
  bool is_module = true;
};

constexpr std::array kRules = {
    Rule{"text_embedding.0", "condition_embedder.text_embedder.linear_1"},
    Rule{"text_embedding.2", "condition_embedder.text_embedder.linear_2"},
    Rule{"time_embedding.0", "condition_embedder.time_embedder.linear_1"},
    Rule{"time_embedding.2", "condition_embedder.time_embedder.linear_2"},
    Rule{"time_projection.1", "condition_embedder.time_proj"},
    Rule{"head.head", "proj_out"},
    Rule{"head.modulation", "scale_shift_table", false},
    Rule{"blocks.*.modulation", "blocks.*.scale_shift_table", false},
    Rule{"blocks.*.self_attn.q", "blocks.*.attn1.to_q"},
    Rule{"blocks.*.self_attn.k", "blocks.*.attn1.to_k"},
    Rule{"blocks.*.self_attn.v", "blocks.*.attn1.to_v"},
    Rule{"blocks.*.self_attn.o", "blocks.*.attn1.to_out.0"},
    Rule{"blocks.*.self_attn.norm_q", "blocks.*.attn1.norm_q"},
    Rule{"blocks.*.self_attn.norm_k", "blocks.*.attn1.norm_k"},
    Rule{"blocks.*.self_attn.to_gate_compress", "blocks.*.attn1.to_gate_compress"},
    Rule{"blocks.*.cross_attn.q", "blocks.*.attn2.to_q"},
    Rule{"blocks.*.cross_attn.k", "blocks.*.attn2.to_k"},
    Rule{"blocks.*.cross_attn.v", "blocks.*.attn2.to_v"},
    Rule{"blocks.*.cross_attn.o", "blocks.*.attn2.to_out.0"},
    Rule{"blocks.*.cross_attn.norm_q", "blocks.*.attn2.norm_q"},
    Rule{"blocks.*.cross_attn.norm_k", "blocks.*.attn2.norm_k"},
    Rule{"blocks.*.cross_attn.k_img", "blocks.*.attn2.add_k_proj"},
    Rule{"blocks.*.cross_attn.v_img", "blocks.*.attn2.add_v_proj"},
    Rule{"blocks.*.cross_attn.norm_k_img", "blocks.*.attn2.norm_added_k"},
    Rule{"blocks.*.norm3", "blocks.*.norm2"},
    Rule{"blocks.*.ffn.0", "blocks.*.ffn.net.0.proj"},
    Rule{"blocks.*.ffn.2", "blocks.*.ffn.net.2"},
    Rule{"img_emb.proj.0", "condition_embedder.image_embedder.norm1"},
    Rule{"img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"},
    Rule{"img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"},
    Rule{"img_emb.proj.4", "condition_embedder.image_embedder.norm2"},
    Rule{"img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed", false},
};

std::vector<std::string_view> split(std::string_view name) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', begin)) {
    parts.push_back(name.substr(begin, dot - begin));
    begin = dot + 1;
  }
  parts.push_back(name.substr(begin));
  return parts;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::optional<std::string> apply(const Rule& rule, const std::vector<std::string_view>& name) {
  const std::vector<std::string_view> from = split(rule.from);
  if (name.size() != from.size() + (rule.is_module ? 1 : 0)) return std::nullopt;
  std::string_view index;
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] == "*" && is_number(name[i])) {
      index = name[i];
    } else if (from[i] != name[i]) {
      return std::nullopt;
    }
  }
  std::string result;
  for (const std::string_view part : split(rule.to)) {
    if (!result.empty()) result += '.';
    result += part == "*" ? index : part;
  }
  if (rule.is_module) result.append(".").append(name.back());
  return result;
}

}  // namespace

std::string wan_diffusers_name(const std::string& original) {
  const std::vector<std::string_view> parts = split(original);
  for (const Rule& rule : kRules) {
    if (std::optional<std::string> name = apply(rule, parts)) return *name;
  }
  return original;
}

}  // namespace sparsescope
