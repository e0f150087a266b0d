// inspect CHECKPOINT: what lies there, what this build can do with it, and what a video would cost.
#include <fmt/ranges.h>

#include <memory>
#include <optional>

#include "apps/command.h"
#include "checkpoint/weight_summary.h"
#include "core/error.h"
#include "kernels/impl.h"
#include "model/cost.h"
#include "model/denoiser.h"
#include "model/folder_config.h"

namespace sparsescope {
namespace {

struct InspectArguments {
  std::filesystem::path checkpoint;
  std::string video, grid;
};

std::optional<TokenGrid> asked_grid(const InspectArguments& arguments,
                                    const CheckpointFolder& folder, const ModelInfo& info) {
  if (!arguments.grid.empty()) {
    const auto grid = parse_triple(arguments.grid, "--grid");
    return TokenGrid{grid[0], grid[1], grid[2]};
  }
  if (arguments.video.empty()) return std::nullopt;
  const auto video = parse_triple(arguments.video, "--video");
  const auto latent = latent_shape_from_video(folder, info, video[0], video[1], video[2]);
  return TokenGrid{latent[2] / info.patch_t, latent[3] / info.patch_h, latent[4] / info.patch_w};
}

// Of the checkpoint's own text encoder, else of the published checkpoints.
int64_t text_rows(const CheckpointFolder& folder) {
  if (!folder.text_encoder) return kWanTextRows;
  return FolderConfig(*folder.text_encoder, "WordEmbedding").positive("length");
}

Json model_json(const ModelInfo& info, const StateDict& weights) {
  Json dtypes = Json::object();
  for (const auto& [name, use] : dtype_uses(weights)) {
    dtypes[name] = {{"tensors", use.tensors}, {"bytes", use.bytes}};
  }
  Json files = Json::array();
  for (const auto& file : weights.files()) files.push_back(file.filename().string());
  return {{"family", info.family},
          {"class", info.class_name},
          {"variant", info.variant},
          {"layers", info.layers},
          {"heads", info.heads},
          {"head_dim", info.head_dim},
          {"ffn_dim", info.ffn_dim},
          {"text_dim", info.text_dim},
          {"patch", {info.patch_t, info.patch_h, info.patch_w}},
          {"in_channels", info.in_channels},
          {"out_channels", info.out_channels},
          {"parameters", info.parameters},
          {"tensors", weights.names().size()},
          {"dtypes", std::move(dtypes)},
          {"bytes", weights.total_bytes()},
          {"files", std::move(files)}};
}

Json support_json(const CheckpointFolder& folder) {
  Json kernels = Json::array();
  for (const Impl impl : available_impls()) kernels.push_back(impl_name(impl));
  return {{"forward", "fp32, bf16"},
          {"profile", folder.text_encoder ? "--prompts, --text-embeds" : "--text-embeds"},
          {"derive", "bsa, vsa, vmoba"},
          {"validate", folder.codec ? "latents, pixels" : "latents"},
          {"kernels", std::move(kernels)}};
}

Json cost_json(const TokenGrid& grid, int64_t rows, const ForwardCost& cost) {
  return {{"grid", {grid.t, grid.h, grid.w}},
          {"tokens", cost.tokens},
          {"text_rows", rows},
          {"attention_flops", cost.attention_flops},
          {"rest_flops", cost.rest_flops},
          {"attention_share", cost.attention_share},
          {"bytes_qkv_per_layer", cost.qkv_bytes},
          {"bytes_map_per_head", cost.attention_map_bytes}};
}

std::string text_of(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (name.ends_with("_flops")) return fmt::format("{:.5g} TFLOP", value.get<double>() / 1e12);
  if (name.starts_with("bytes")) return fmt::format("{:.2f} MiB", value.get<double>() / (1 << 20));
  if (name.ends_with("_share")) return fmt::format("{:.1f} %", 100 * value.get<double>());
  if (!value.is_array()) return value.dump();
  std::vector<std::string> items;
  for (const Json& item : value) items.push_back(text_of(name, item));
  return fmt::format("{}", fmt::join(items, ", "));
}

// Aligned lines of an object; nested objects stand under their names.
void print_object(const CommandContext& context, const Json& object, const std::string& indent) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      context.print(indent + name);
      print_object(context, value, indent + "  ");
    } else {
      context.print(fmt::format("{:<24}{}", indent + name, text_of(name, value)));
    }
  }
}

void run_inspect(CommandContext& context, const InspectArguments& arguments) {
  const CheckpointFolder folder = open_checkpoint_folder(arguments.checkpoint);
  const StateDict weights = StateDict::open(folder.transformer);
  const ModelInfo info = describe_checkpoint(folder, weights);

  Json result{{"checkpoint", arguments.checkpoint.string()}};
  result.update(model_json(info, weights));
  if (folder.transformer_2) result["second_expert"] = folder.transformer_2->filename().string();
  if (const auto grid = asked_grid(arguments, folder, info)) {
    const int64_t rows = text_rows(folder);
    result["one_forward"] = cost_json(
        *grid, rows,
        forward_cost({info.layers, info.heads, info.head_dim, info.ffn_dim, rows}, *grid));
  }
  result["this_build"] = support_json(folder);
  print_object(context, result, "");
  for (const std::string& warning : info.warnings) context.warn(warning);
  result["warnings"] = info.warnings;
  context.print_json(result);
}

}  // namespace

void add_inspect_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(root, context, "inspect",
                                  "Says what a checkpoint is, and what can be done with it",
                                  "sparsescope inspect data/tiny-wan --grid 8,16,16");
  const auto arguments = std::make_shared<InspectArguments>();
  command->add_option("CHECKPOINT", arguments->checkpoint, "A folder or a .safetensors file")
      ->required();
  CLI::Option* video = command->add_option("--video", arguments->video,
                                           "Cost of a video: frames, height, width in pixels");
  command->add_option("--grid", arguments->grid, "Cost of a video: T,Hg,Wg in tokens")
      ->excludes(video);
  command->callback([&context, arguments] { run_inspect(context, *arguments); });
}

}  // namespace sparsescope
