// The part of the profile file that holds what was kept whole:
//   /qkv/pP_bB_sS_lL/{q,k,v}  [head, token, channel] float32, heads that were not asked for NaN;
//                             attributes prefix, suffix, scale, heads (those that are kept)
//   /latents/pP               [channel, frame, latent_height, latent_width] float32
//   /videos/pP                [frame, height, width, rgb] uint8
// Where their scales stand: grouped_datasets.h.
#pragma once

#include <memory>
#include <string>

#include "core/hdf5_file.h"
#include "stats/profile.h"

namespace sparsescope {

// One array is in memory at a time.
void write_kept(Hdf5File& file, const Profile& profile);
// Where things lie; the file stays open as long as the result lives. Error(kData).
KeptData read_kept(const std::shared_ptr<const Hdf5File>& file, const Profile& profile);

// "p3"; and 3 of "p3", -1 of any other text.
std::string prompt_name(int64_t prompt);
int64_t prompt_of_name(const std::string& name);

}  // namespace sparsescope
