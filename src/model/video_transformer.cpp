#include "model/video_transformer.h"

#include "core/error.h"

namespace sparsescope {

HostTensor VideoTransformer::pull_back(const ModelInputs&, const SiteKey&, AttentionHook&,
                                       DifferentiableHook&, const Directions&) {
  fail(ErrorKind::kUnsupported, "{}: gradients are not supported for this model family",
       info().family);
}

}  // namespace sparsescope
