// Latents as the video that they stand for, decoded when it is read.
#pragma once

#include <memory>

#include "model/codec.h"
#include "stats/kept_data.h"

namespace sparsescope {

// latents [C, F, Hl, Wl] -> [F, H, W, 3]
KeptArray<uint8_t> decoded_video(const KeptArray<float>& latents,
                                 std::shared_ptr<const LinearCodec> codec);

}  // namespace sparsescope
