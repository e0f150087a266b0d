// What a run keeps whole, in its finished parts: q, k, v of a step's chosen calls as
//   qkv/b0/l3/q, .../k, .../v   F32 [kept heads, S, D]
// beside the step's statistics (profile_part.h). The arrays stay in the file until the profile is
// written.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "capture/record_hook.h"
#include "stats/hashed_tensors.h"
#include "stats/kept_data.h"

namespace sparsescope {

// Whether a tensor of a part belongs to a kept call.
bool is_call_tensor(const std::string& name);
// calls must outlive the tensors. The metadata get an entry that says what each call is.
void add_call_tensors(const std::vector<RecordedCall>& calls, std::vector<TensorToWrite>& tensors,
                      Metadata& metadata);
// The calls of a part whose hash was checked, by map_name. Error(kData).
std::map<std::string, KeptCall> kept_calls_of_part(const std::filesystem::path& path,
                                                   int64_t prompt, int64_t step);

// A tensor of a hashed file as it is needed. shape: of its elements as the user sees them.
KeptArray<float> array_in_file(const std::filesystem::path& path, const std::string& tensor,
                               std::vector<int64_t> shape);

}  // namespace sparsescope
