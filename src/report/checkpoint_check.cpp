#include "report/checkpoint_check.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/state_dict.h"
#include "core/error.h"
#include "model/codec.h"
#include "model/prompts.h"
#include "model/scheduler.h"
#include "model/video_transformer.h"

namespace sparsescope {
namespace {

bool holds_floats(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
    case Dtype::kBF16:
    case Dtype::kF32:
    case Dtype::kF64:
    case Dtype::kF8E4M3:
    case Dtype::kF8E5M2:
      return true;
    default:
      return false;
  }
}

void check_finite(const StateDict& weights, const std::string& name) {
  const TensorInfo& info = weights.info(name);
  if (!info.dtype || !holds_floats(*info.dtype)) return;
  const std::vector<float> values = to_float(weights.fetch(name, info.shape), name);
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  SPARSESCOPE_CHECK(ErrorKind::kData, bad == values.end(),
                    "{}: {}: expected finite values, found {} at element {}",
                    weights.path().string(), name, *bad, bad - values.begin());
}

// Structure of every file, every value, the hash.
void check_weights(const StateDict& weights, const RunMonitor& monitor, ArtifactCheck& result) {
  const std::vector<std::string> names = weights.names();
  for (size_t i = 0; i < names.size(); ++i) {
    check_stop(monitor);
    check_finite(weights, names[i]);
    report_progress(monitor, static_cast<int64_t>(i) + 1, static_cast<int64_t>(names.size()),
                    names[i]);
  }
  result.verified.push_back(fmt::format(
      "weights: {} tensors in {} file{}, headers and offsets by the format's rules, values finite",
      names.size(), weights.files().size(), weights.files().size() == 1 ? "" : "s"));
  result.verified.push_back(fmt::format("weights: sha-256 {}", weights.content_hash()));
}

void check_model(const CheckpointFolder& folder, const StateDict& weights, ArtifactCheck& result) {
  const ModelInfo info = describe_checkpoint(folder, weights);
  result.kind = "checkpoint";
  result.warnings = info.warnings;
  result.verified.push_back(
      fmt::format("model: {}, {}, {} layers of {} heads of {}: every tensor is there in its shape",
                  info.family, info.variant, info.layers, info.heads, info.head_dim));
}

// The parts of a pipeline folder that this program runs.
void check_companions(const CheckpointFolder& folder, ArtifactCheck& result) {
  if (folder.scheduler_config) {
    const auto scheduler = make_scheduler(folder.scheduler_config, "", 2, std::nullopt);
    result.verified.push_back(
        fmt::format("scheduler: {}, shift {}", scheduler->name(), scheduler->shift()));
  }
  if (folder.text_encoder) {
    encode_prompts(folder, {""});
    result.verified.push_back("text encoder: vocabulary and tensors fit each other");
  }
  if (folder.codec) {
    LinearCodec::open(*folder.codec);
    result.verified.push_back("codec: tensors fit its config");
  }
}

}  // namespace

ArtifactCheck check_checkpoint(const std::filesystem::path& path, const RunMonitor& monitor) {
  const CheckpointFolder folder = open_checkpoint_folder(path);
  const bool single_file = std::filesystem::is_regular_file(path);
  ArtifactCheck result;
  result.kind = "tensors";
  const StateDict weights = StateDict::open(folder.transformer);
  try {
    check_model(folder, weights, result);
  } catch (const Error& error) {
    // A file of tensors need not be a model: captured q, k, v and outputs of forward are files too.
    if (!single_file || error.kind() != ErrorKind::kUnsupported) throw;
    result.warnings = weights.warnings();
    result.warnings.push_back("no model of a known family: checked as plain tensors");
  }
  check_weights(weights, monitor, result);
  if (folder.transformer_2) {
    const StateDict second = StateDict::open(*folder.transformer_2);
    check_model(folder, second, result);
    check_weights(second, monitor, result);
  }
  check_companions(folder, result);
  return result;
}

}  // namespace sparsescope
