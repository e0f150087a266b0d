#include "stats/decoded_video.h"

#include "model/pixels.h"

namespace sparsescope {

KeptArray<uint8_t> decoded_video(const KeptArray<float>& latents,
                                 std::shared_ptr<const LinearCodec> codec) {
  std::vector<int64_t> shape = latents.shape;
  shape.insert(shape.begin(), 1);
  return {rgb_shape(codec->video_shape(shape)), [latents, codec, shape] {
            return rgb_bytes(codec->decode({shape, latents.read()}));
          }};
}

}  // namespace sparsescope
