// WanTransformer3DModel on LibTorch. Blocks that do not fit in the memory bound are fetched from
// the mapped file, converted, run and released in every pass.
#pragma once

#include <memory>

#include "model/detect.h"
#include "model/video_transformer.h"

namespace sparsescope {

// Most bytes of weights that the transformer has in memory at once, a streamed block included.
// Error(kResource) as make_wan_transformer.
int64_t wan_resident_bytes(const WanConfig& config, const LoadOptions& options);

// Error(kResource) where options.max_memory holds less than the weights outside the blocks and one
// block.
std::unique_ptr<VideoTransformer> make_wan_transformer(DetectedModel model,
                                                       const LoadOptions& options);

}  // namespace sparsescope
