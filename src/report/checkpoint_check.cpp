#include "report/checkpoint_check.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/state_dict.h"
#include "core/error.h"
#include "model/codec.h"
#include "model/experts.h"
#include "model/prompts.h"
#include "model/scheduler.h"

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

// Structure of every file, every value, the hash; returns the hash.
std::string check_weights(const StateDict& weights, const RunMonitor& monitor,
                          ArtifactCheck& result) {
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
  std::string hash = weights.content_hash();
  result.verified.push_back(fmt::format("weights: sha-256 {}", hash));
  return hash;
}

ModelInfo check_model(const CheckpointFolder& folder, const StateDict& weights,
                      ArtifactCheck& result) {
  ModelInfo info = describe_checkpoint(folder, weights);
  result.kind = "checkpoint";
  result.warnings.insert(result.warnings.end(), info.warnings.begin(), info.warnings.end());
  result.verified.push_back(
      fmt::format("model: {}, {}, {} layers of {} heads of {}: every tensor is there in its shape",
                  info.family, info.variant, info.layers, info.heads, info.head_dim));
  return info;
}

// The low-noise expert beside the high-noise one: a model of its own, of the same shape.
void check_second_expert(const CheckpointFolder& folder, const ModelInfo& high,
                         const std::string& high_hash, const RunMonitor& monitor,
                         ArtifactCheck& result) {
  const bool bounded = boundary_ratio(folder).has_value();
  const std::optional<ExpertBoundary> boundary = bounded ? expert_boundary(folder) : std::nullopt;
  if (!folder.transformer_2) return;
  const StateDict weights = StateDict::open(*folder.transformer_2);
  check_alike(high, check_model(expert_folder(folder, kLowNoise), weights, result));
  const std::string low_hash = check_weights(weights, monitor, result);
  result.verified.push_back(fmt::format("experts: of one shape, sha-256 of both {}",
                                        joint_checkpoint_hash({high_hash, low_hash})));
  if (boundary) {
    result.verified.push_back(fmt::format("experts: high noise from timestep {}, boundary_ratio {}",
                                          boundary->timestep, boundary->ratio));
  } else {
    result.warnings.push_back(
        "two experts without boundary_ratio in model_index.json: they cannot "
        "be sampled");
  }
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
  ModelInfo info;
  try {
    info = check_model(expert_folder(folder, kHighNoise), weights, result);
  } catch (const Error& error) {
    // A file of tensors need not be a model: captured q, k, v and outputs of forward are files too.
    if (!single_file || error.kind() != ErrorKind::kUnsupported) throw;
    result.warnings = weights.warnings();
    result.warnings.push_back("no model of a known family: checked as plain tensors");
  }
  const std::string hash = check_weights(weights, monitor, result);
  check_second_expert(folder, info, hash, monitor, result);
  check_companions(folder, result);
  return result;
}

}  // namespace sparsescope
