// What a profile keeps whole beside its statistics, where a run was asked to: q, k, v of chosen
// attention calls, and the sampled results. They may be larger than memory: held is where they lie,
// and one array is read at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sparsescope {

template <typename T>
struct KeptArray {
  std::vector<int64_t> shape;
  std::function<std::vector<T>()> read;  // row-major
};

inline constexpr std::array kQkvNames = {"q", "k", "v"};

// As the model gave it to the attention hook: after norm and rotary embedding, in raster order.
struct KeptCall {
  int64_t prefix = 0, suffix = 0;                      // text tokens before and behind the video
  double scale = 1;                                    // of the softmax
  std::vector<int64_t> heads;                          // that are kept, ascending
  std::array<KeptArray<float>, kQkvNames.size()> qkv;  // [kept heads, S, D]
};

struct KeptData {
  std::map<std::string, KeptCall> calls;         // by map_name: "p0_b1_s4_l2"
  std::map<int64_t, KeptArray<float>> latents;   // by prompt: [C, F, Hl, Wl], the last step's
  std::map<int64_t, KeptArray<uint8_t>> videos;  // by prompt: [F, H, W, 3], decoded

  bool empty() const { return calls.empty() && latents.empty() && videos.empty(); }
};

}  // namespace sparsescope
