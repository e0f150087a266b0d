// profile CHECKPOINT ... --out RUN.h5: samples denoising trajectories and records how attention
// falls.
#include <memory>

#include "apps/command.h"
#include "apps/sampling_options.h"
#include "core/error.h"
#include "stats/profile_request.h"

namespace sparsescope {
namespace {

struct Texts {
  SamplingTexts sampling;
  std::string tile = "4,4,4";
};

void run(CommandContext& context, ProfileRequest request, const Texts& texts) {
  complete_sampling_request(context, texts.sampling, request.sampling);
  const std::vector<int64_t> tile = parse_triple(texts.tile, "--tile");
  request.tile = {tile[0], tile[1], tile[2]};
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !request.sampling.checkpoint.empty() || !request.qkv.empty(),
                    "expected a CHECKPOINT, or --qkv FILES");
  request.threads = context.threads();
  request.command_line = context.command_line;
  const ProfileOutcome summary = run_profile(request, context.monitor());

  const std::string out = request.out.path.string();
  context.print(fmt::format(
      "{}: {} sites of {} heads ({} prompts, {} branches, {} steps, {} layers)", out, summary.sites,
      summary.heads, summary.prompts, summary.branches, summary.steps, summary.layers));
  context.print(fmt::format("sampled in {:.1f} s, {} steps resumed, {:.2f} MB", summary.seconds,
                            summary.resumed_steps, static_cast<double>(summary.file_bytes) / 1e6));
  context.print(fmt::format("VMoBA: {} of {} legal partitions measured", summary.partitions,
                            summary.legal_partitions));
  context.print_json({{"out", out},
                      {"sites", summary.sites},
                      {"prompts", summary.prompts},
                      {"branches", summary.branches},
                      {"steps", summary.steps},
                      {"layers", summary.layers},
                      {"heads", summary.heads},
                      {"partitions", summary.partitions},
                      {"legal_partitions", summary.legal_partitions},
                      {"resumed_steps", summary.resumed_steps},
                      {"seconds", summary.seconds},
                      {"attention_seconds", summary.attention_seconds},
                      {"bytes", summary.file_bytes}});
}

void add_input_options(CLI::App& command, ProfileRequest& request, Texts& texts) {
  add_sampling_options(command, request.sampling, texts.sampling, checkpoint_defaults());
  command.add_option("--qkv", request.qkv, "Captured q, k, v files instead of a checkpoint");
  command.add_option("--prefix", request.prefix, "Text tokens before the video, with --qkv")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--suffix", request.suffix, "Text tokens behind the video, with --qkv")
      ->check(CLI::NonNegativeNumber);
  add_max_memory_option(command, request.sampling);
}

void add_record_options(CLI::App& command, ProfileRequest& request, Texts& texts) {
  command.add_option("--tile", texts.tile, "Tile in tokens, t,h,w (4,4,4)");
  command.add_option("--partitions", request.partitions,
                     "VMoBA's partitions: auto, none, like \"temporal:2 st:4,4,8\", or all: all "
                     "legal ones that a budget of key cells and blocks allows, all:BUDGET");
  command.add_option("--rows-per-tile", request.rows_per_tile,
                     "Rows a tile for sorted statistics; 0 all (all up to 8192 tokens, else 4)");
  command.add_option("--record-prompts", request.record_prompts,
                     "Prompts to sample and record: all, or 0-7; the others keep their places");
  command.add_option("--record-steps", request.record_steps, "Steps to record: all, or 0,5,10-19");
  command.add_option("--record-layers", request.record_layers, "Layers to record: all, or 0,3");
  command.add_option("--maps", request.maps,
                     "Sites whose whole maps are kept: \"step=0,10 layer=3 head=*\"");
  command.add_option("--keep-qkv", request.keep_qkv,
                     "Sites, as in --maps, whose q, k and v are kept: 12 bytes a head, token and "
                     "channel");
  command.add_flag("--keep-videos", request.keep_videos,
                   "Keep what each recorded prompt is sampled to: the latents, and where the "
                   "checkpoint has a codec the video, 3 bytes a pixel");
  command.add_option("--error-tiles", request.error_tiles,
                     "Query tiles of each call whose errors under all settings are measured; 0 "
                     "none (1 in 16, 1 to 4)");
  command.add_option("--sensitivity", request.sensitivity,
                     "Steps of each prompt at which the settings' effects on the model's output "
                     "are measured (0)");
  command.add_option("--probes", request.probes, "Random directions of each such step (4)");
  command.add_option("--around", request.around,
                     "A plan in force while effects are measured, instead of dense attention");
  command.add_flag("--effects-only", request.effects_only, "Record effects, and nothing else");
  command.add_option("--out", request.out.path, "Profile to write (HDF5)")->required();
  command.add_flag("--force", request.out.replace,
                   "Replace an existing profile, and the parts of another run");
  command.add_flag("--resume,!--no-resume", request.out.resume,
                   "Go on from the finished steps of an earlier start (default)");
}

}  // namespace

void add_profile_command(CLI::App& root, CommandContext& context) {
  CLI::App* command = add_command(
      root, context, "profile", "Records attention statistics along denoising trajectories",
      "sparsescope profile data/tiny-wan --prompts data/tiny-wan/prompts/calibration.txt "
      "--grid 8,16,16 --steps 8 --out run.h5");
  const auto request = std::make_shared<ProfileRequest>();
  const auto texts = std::make_shared<Texts>();
  add_input_options(*command, *request, *texts);
  add_record_options(*command, *request, *texts);
  command->callback([&context, request, texts] { run(context, *request, *texts); });
}

}  // namespace sparsescope
