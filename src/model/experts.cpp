#include "model/experts.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/sha256.h"
#include "model/detect.h"
#include "model/scheduler.h"
#include "model/wan_transformer.h"

namespace sparsescope {
namespace {

constexpr size_t kExperts = 2;

DetectedModel detect_expert(const CheckpointFolder& folder) {
  return detect_model(folder, StateDict::open(folder.transformer));
}

class ExpertPair : public VideoTransformer {
 public:
  ExpertPair(const CheckpointFolder& folder, const LoadOptions& options)
      : folders_{expert_folder(folder, kHighNoise), expert_folder(folder, kLowNoise)},
        options_(options) {
    std::array<ModelInfo, kExperts> infos;
    int64_t bytes = 0;  // with both in memory
    for (size_t i = 0; i < kExperts; ++i) {
      DetectedModel expert = detect_expert(folders_[i]);
      expert_hashes_.push_back(expert.weights.content_hash());
      bytes += wan_resident_bytes(expert.config, options);
      infos[i] = std::move(expert.info);
    }
    check_alike(infos[kHighNoise], infos[kLowNoise]);
    keeps_both_ = options.max_memory == 0 || bytes <= options.max_memory;
    info_ = infos[kHighNoise];
    info_.expert_hashes = expert_hashes_;
    info_.checkpoint_hash = joint_checkpoint_hash(expert_hashes_);
    for (const std::string& warning : infos[kLowNoise].warnings) {
      info_.warnings.push_back(folders_[kLowNoise].transformer.filename().string() + ": " +
                               warning);
    }
    loaded(kHighNoise);  // what cannot be loaded shows before anything is sampled
  }

  const ModelInfo& info() const override { return info_; }

  TokenGrid token_grid(const std::vector<int64_t>& latent_shape) const override {
    return any_loaded().token_grid(latent_shape);
  }

  HostTensor forward(const ModelInputs& inputs, const SiteKey& site, AttentionHook& hook) override {
    return loaded(site.expert).forward(inputs, site, hook);
  }

  HostTensor pull_back(const ModelInputs& inputs, const SiteKey& site, AttentionHook& forward,
                       DifferentiableHook& backward, const Directions& directions) override {
    return loaded(site.expert).pull_back(inputs, site, forward, backward, directions);
  }

 private:
  const VideoTransformer& any_loaded() const {
    return experts_[kHighNoise] ? *experts_[kHighNoise] : *experts_[kLowNoise];
  }

  VideoTransformer& loaded(int64_t expert) {
    SPARSESCOPE_ASSERT(expert == kHighNoise || expert == kLowNoise);
    const auto wanted = static_cast<size_t>(expert);
    if (!experts_[wanted]) {
      if (!keeps_both_) experts_[1 - wanted].reset();
      experts_[wanted] = make_wan_transformer(detect_expert(folders_[wanted]), options_);
    }
    return *experts_[wanted];
  }

  std::array<CheckpointFolder, kExperts> folders_;
  LoadOptions options_;
  std::vector<std::string> expert_hashes_;
  ModelInfo info_;
  bool keeps_both_ = true;
  std::array<std::unique_ptr<VideoTransformer>, kExperts> experts_;  // one at least
};

}  // namespace

std::optional<double> boundary_ratio(const CheckpointFolder& folder) {
  if (!folder.model_index) return std::nullopt;
  const auto found = folder.model_index->find("boundary_ratio");
  if (found == folder.model_index->end() || found->is_null()) return std::nullopt;
  const bool good = found->is_number() && found->get<double>() >= 0 && found->get<double>() <= 1;
  SPARSESCOPE_CHECK(ErrorKind::kData, good,
                    "{}: boundary_ratio: expected a number from 0 to 1, found {}",
                    (folder.root / "model_index.json").string(), found->dump());
  return found->get<double>();
}

std::optional<ExpertBoundary> expert_boundary(const CheckpointFolder& folder) {
  const std::optional<double> ratio = boundary_ratio(folder);
  if (!folder.transformer_2 && !ratio) return std::nullopt;
  SPARSESCOPE_CHECK(ErrorKind::kData, ratio,
                    "{}: two experts need the boundary between them: expected boundary_ratio in "
                    "model_index.json, found none",
                    folder.root.string());
  SPARSESCOPE_CHECK(ErrorKind::kData, folder.transformer_2,
                    "{}: boundary_ratio {} in model_index.json: expected a second transformer "
                    "(transformer_2), found none",
                    folder.root.string(), *ratio);
  const auto train = static_cast<double>(train_timesteps(folder.scheduler_config));
  return ExpertBoundary{*ratio, *ratio * train};
}

int64_t first_low_noise_step(const std::vector<int64_t>& experts) {
  return std::find(experts.begin(), experts.end(), kLowNoise) - experts.begin();
}

CheckpointFolder expert_folder(const CheckpointFolder& folder, int64_t expert) {
  CheckpointFolder result = folder;
  if (expert == kLowNoise) {
    SPARSESCOPE_ASSERT(folder.transformer_2);
    result.transformer = *folder.transformer_2;
    result.config = folder.config_2;
  }
  result.transformer_2.reset();
  result.config_2.reset();
  return result;
}

void check_alike(const ModelInfo& high, const ModelInfo& low) {
  const auto check = [](const char* what, const auto& expected, const auto& found) {
    SPARSESCOPE_CHECK(ErrorKind::kData, expected == found,
                      "transformer_2: {}: expected {} as in transformer, found {}", what, expected,
                      found);
  };
  check("family", high.family, low.family);
  check("variant", high.variant, low.variant);
  check("layers", high.layers, low.layers);
  check("heads", high.heads, low.heads);
  check("head_dim", high.head_dim, low.head_dim);
  check("in_channels", high.in_channels, low.in_channels);
  check("out_channels", high.out_channels, low.out_channels);
  check("text_dim", high.text_dim, low.text_dim);
  check("patch_t", high.patch_t, low.patch_t);
  check("patch_h", high.patch_h, low.patch_h);
  check("patch_w", high.patch_w, low.patch_w);
}

std::string joint_checkpoint_hash(const std::vector<std::string>& expert_hashes) {
  Sha256 hash;
  for (const std::string& each : expert_hashes) {
    hash.update(each.data(), each.size());
    hash.update("\n", 1);
  }
  return hash.hex();
}

std::string checkpoint_hash(const CheckpointFolder& folder) {
  std::string high = StateDict::open(folder.transformer).content_hash();
  if (!folder.transformer_2) return high;
  return joint_checkpoint_hash({high, StateDict::open(*folder.transformer_2).content_hash()});
}

std::unique_ptr<VideoTransformer> load_experts(const CheckpointFolder& folder,
                                               const LoadOptions& options) {
  if (!expert_boundary(folder)) return load_transformer(folder, options);
  check_load_options(options);
  return std::make_unique<ExpertPair>(folder, options);
}

}  // namespace sparsescope
