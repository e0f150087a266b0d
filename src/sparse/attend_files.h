// The files of one attention call: q, k, v (and gate, d_out) in, the named outputs out.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "core/dtype.h"
#include "sparse/attend.h"

namespace sparsescope {

struct AttendFile {
  AttendInputs inputs;
  std::vector<std::shared_ptr<const void>> owners;  // of what inputs point to
};

// Safetensors with q, k, v and perhaps gate and d_out, [B, H, S, D] in fp32, bf16 or fp16; other
// tensors are left alone. compute: the type that all are converted to; none: as stored.
AttendFile read_attend_file(const std::filesystem::path& path, std::optional<Dtype> compute);

void write_attend_outputs(const std::filesystem::path& path, const std::vector<NamedArray>& outputs,
                          bool replace);

}  // namespace sparsescope
