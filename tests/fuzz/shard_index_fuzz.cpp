// libFuzzer target: any bytes are a shard index. Whatever they are, the parser returns or throws
// Error(kData); no accepted file name leaves the folder.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "checkpoint/shard_index.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sparsescope;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& [tensor, shard] : parse_shard_index(text, "input")) {
      if (shard.empty() || shard.find('/') != std::string::npos) std::abort();
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) std::abort();
  }
  return 0;
}
