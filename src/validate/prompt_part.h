// What was measured on one prompt as a hashed safetensors file, so that a run that was stopped goes
// on with the next prompt:
//   sites/place     I64 [sites, 4]  branch, step, layer, head
//   sites/values    F64 [sites, 5]  density, recall, rel_l1, rel_l2, cosine
//   output_rel_l2   F64 [forwards]
//   times           F64 [forwards, 3]  seconds: dense, sparse, selection
//   latent_rel_l2   F64 [1]
//   latent, pixel   F64 [2]  psnr, ssim; pixel only with a codec
//   layer_alone, step_alone        F64 [layers], [steps]  where asked for
//   dense_latents, sparse_latents  F32 [1, C, F, Hl, Wl]  where asked for; a reader leaves them in
//                                  the file
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "validate/summary.h"

namespace sparsescope {

std::string prompt_part_name(int64_t prompt);  // "p0000.safetensors"
void write_prompt_part(const std::filesystem::path& path, int64_t prompt,
                       const PromptOutcome& outcome, const std::string& fingerprint);
inline constexpr const char* kDenseLatents = "dense_latents";
inline constexpr const char* kSparseLatents = "sparse_latents";
// Error(kData) where the file is damaged or belongs to another run or prompt.
PromptOutcome read_prompt_part(const std::filesystem::path& path, int64_t prompt,
                               const std::string& fingerprint);

}  // namespace sparsescope
