// Output files are complete or absent: written beside their place, flushed, synced, renamed.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace sparsescope {

// Error(kUsage) where path exists and replace is false: the answer before any work is done.
void check_writable_output(const std::filesystem::path& path, bool replace);

// Calls write with the name of a temporary file in path's folder, then publishes that file as path.
// On any exception the temporary file is removed and path is left as it was. Without replace an
// existing path is never overwritten (Error(kUsage)), also when it appeared meanwhile. A full disk is
// Error(kResource).
void write_atomically(const std::filesystem::path& path, bool replace,
                      const std::function<void(const std::filesystem::path& temporary)>& write);
void write_text_atomically(const std::filesystem::path& path, std::string_view text, bool replace);

}  // namespace sparsescope
