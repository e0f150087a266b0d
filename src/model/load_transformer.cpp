#include "core/error.h"
#include "model/detect.h"
#include "model/video_transformer.h"
#include "model/wan_transformer.h"

namespace sparsescope {

void check_load_options(const LoadOptions& options) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    options.compute == Dtype::kF32 || options.compute == Dtype::kBF16,
                    "compute type {}: not supported for this model; fp32 and bf16 are",
                    dtype_name(options.compute));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, options.threads >= 1 && options.max_memory >= 0,
                    "expected at least one thread and no negative memory bound, found {} and {}",
                    options.threads, options.max_memory);
}

std::unique_ptr<VideoTransformer> load_transformer(const CheckpointFolder& folder,
                                                   const LoadOptions& options) {
  check_load_options(options);
  StateDict weights = StateDict::open(folder.transformer);
  std::string hash = weights.content_hash();
  DetectedModel model = detect_model(folder, std::move(weights));
  model.info.checkpoint_hash = std::move(hash);
  return make_wan_transformer(std::move(model), options);
}

}  // namespace sparsescope
