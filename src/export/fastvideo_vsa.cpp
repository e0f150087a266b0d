// fastvideo-vsa: the YAML of `fastvideo generate` with the one dropped fraction of key tiles that
// Wan's VSA takes. Tiles are 4,4,4; K = max(1, min(ceil((1 - s)*N), N)), N with partial tiles.
#include "core/error.h"
#include "export/draft_file.h"
#include "export/flat_yaml.h"
#include "export/tile_counts.h"
#include "export/vsa_one_number.h"
#include "plan/json_place.h"

namespace sparsescope {
namespace {

const char* const kComment =
    "FASTVIDEO_ATTENTION_BACKEND=VIDEO_SPARSE_ATTN fastvideo generate --config THIS_FILE\n"
    "or on the command line: --VSA-sparsity with the number below";

Json sampling_json(const ExportInput& input) {
  Json sampling = Json::object();
  const std::vector<int64_t>& video = input.settings.video;
  if (!video.empty()) {
    check_video(video, input.plan.grid);
    sampling = {{"num_frames", video[0]}, {"height", video[1]}, {"width", video[2]}};
  }
  sampling["num_inference_steps"] = input.plan.num_steps;
  return sampling;
}

// Strict: nothing but what the writer writes.
double read_sparsity(const Json& yaml, const std::string& what) {
  const JsonPlace root(yaml, what);
  root.check_keys({"generator", "request"});
  root.at("generator").check_keys({"pipeline"}, {"model_path"});
  root.at("generator").at("pipeline").check_keys({"experimental"});
  const JsonPlace experimental = root.at("generator").at("pipeline").at("experimental");
  experimental.check_keys({"VSA_sparsity"});
  root.at("request").check_keys({"sampling"});
  const JsonPlace sampling = root.at("request").at("sampling");
  sampling.check_keys({"num_inference_steps"}, {"num_frames", "height", "width"});
  for (const char* key : {"num_inference_steps", "num_frames", "height", "width"}) {
    if (const auto place = sampling.find(key)) place->integer(1, kMaxExtent);
  }
  return experimental.at("VSA_sparsity").number(0, 1);
}

}  // namespace

ExportDraft draft_fastvideo_vsa(const ExportInput& input) {
  ExportDraft draft;
  const int64_t kept = one_top_k(input.plan, "fastvideo-vsa", draft);
  check_tile(input.plan, {4, 4, 4}, "fastvideo-vsa");
  const int64_t tiles = plan_tiles(input.plan);
  if (input.settings.video.empty()) {
    draft.remarks.push_back("the video's size is left out: --video gives it");
  }
  if (input.settings.model_path.empty()) {
    draft.remarks.push_back("the model's path is left out: --model-path gives it");
  }

  Json yaml = {{"generator", Json::object()}};
  if (!input.settings.model_path.empty()) {
    yaml["generator"]["model_path"] = input.settings.model_path;
  }
  yaml["generator"]["pipeline"]["experimental"]["VSA_sparsity"] = dropped_for_ceil(kept, tiles);
  yaml["request"]["sampling"] = sampling_json(input);
  draft.files.push_back(text_file(input.out, to_flat_yaml(yaml, kComment),
                                  [=](const std::string& text, const std::string& what) {
                                    const double sparsity =
                                        read_sparsity(parse_flat_yaml(text, what), what);
                                    SPARSESCOPE_ASSERT(kept_by_ceil(sparsity, tiles) == kept);
                                  }));
  return draft;
}

}  // namespace sparsescope
