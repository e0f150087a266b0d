// Decoded videos as pictures: 8 bits a colour.
#pragma once

#include <cstdint>
#include <vector>

#include "core/host_tensor.h"

namespace sparsescope {

// video [F, 3, H, W] in [-1, 1] -> [F, H, W, 3]: round((x + 1) * 127.5), clipped to 0 .. 255.
std::vector<uint8_t> rgb_bytes(const HostTensor& video);
// The shape of the result.
std::vector<int64_t> rgb_shape(const std::vector<int64_t>& video_shape);

}  // namespace sparsescope
