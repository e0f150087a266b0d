// inspect CHECKPOINT: what lies there, what this build can do with it, and what a video would cost.
#include <fmt/ranges.h>

#include <memory>
#include <optional>

#include "apps/command.h"
#include "apps/inspect_cost.h"
#include "checkpoint/weight_summary.h"
#include "core/error.h"
#include "kernels/cuda/cuda_attention.h"
#include "kernels/impl.h"
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

// The fields above are those of the high-noise expert.
Json experts_json(const CheckpointFolder& folder, std::vector<std::string>& warnings) {
  const StateDict weights = StateDict::open(*folder.transformer_2);
  ModelInfo info = describe_checkpoint(expert_folder(folder, kLowNoise), weights);
  Json low = {{"folder", folder.transformer_2->filename().string()}};
  low.update(model_json(info, weights));
  Json experts = {{"high_noise_expert", {{"folder", folder.transformer.filename().string()}}},
                  {"low_noise_expert", std::move(low)}};
  try {
    const auto boundary = expert_boundary(folder);
    experts["boundary"] = {{"ratio", boundary->ratio}, {"timestep", boundary->timestep}};
  } catch (const Error& error) {
    warnings.push_back(error.what());  // not to be sampled; everything else can be said
  }
  return experts;
}

Json support_json(const CheckpointFolder& folder) {
  Json kernels = Json::array();
  for (const Impl impl : available_impls()) kernels.push_back(impl_name(impl));
  for (const Impl impl : available_cuda_impls()) kernels.push_back(impl_name(impl));
  Json gpus = Json::array();
  for (const cuda::DeviceInfo& gpu : cuda::devices().usable) {
    gpus.push_back(fmt::format("cuda:{} {} ({}.{})", gpu.index, gpu.name, gpu.major, gpu.minor));
  }
  return {{"forward", "fp32, bf16"},
          {"profile", folder.text_encoder ? "--prompts, --text-embeds" : "--text-embeds"},
          {"derive", "bsa, vsa, vmoba"},
          {"validate", folder.codec ? "latents, pixels" : "latents"},
          {"kernels", std::move(kernels)},
          {"gpus", gpus.empty() ? Json(cuda::devices().reason) : std::move(gpus)}};
}

std::string text_of(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (name.ends_with("_flops")) return format_flops(value.get<double>());
  if (name.starts_with("bytes")) return format_bytes(value.get<double>());
  if (name.ends_with("_share")) return fmt::format("{:.1f} %", 100 * value.get<double>());
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
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

// Prints what one forward pass costs; all of it in the result.
Json show_cost(const CommandContext& context, const TransformerShape& shape,
               const TokenGrid& grid) {
  const ForwardCost cost = forward_cost(shape, grid);
  const std::vector<MethodCost> methods = method_costs(shape, grid);
  Json fields = forward_cost_json(shape, grid, cost);
  print_object(context, {{"one_forward", fields}}, "");
  context.print(forward_cost_tables(cost, methods));
  fields.update(forward_cost_details_json(cost, methods));
  return fields;
}

void run_inspect(CommandContext& context, const InspectArguments& arguments) {
  const CheckpointFolder folder = open_checkpoint_folder(arguments.checkpoint);
  const StateDict weights = StateDict::open(folder.transformer);
  ModelInfo info = describe_checkpoint(expert_folder(folder, kHighNoise), weights);

  Json result{{"checkpoint", arguments.checkpoint.string()}};
  result.update(model_json(info, weights));
  if (folder.transformer_2) result.update(experts_json(folder, info.warnings));
  result["this_build"] = support_json(folder);
  print_object(context, result, "");
  if (const auto grid = asked_grid(arguments, folder, info)) {
    result["one_forward"] = show_cost(context, transformer_shape(info, text_rows(folder)), *grid);
  }
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
