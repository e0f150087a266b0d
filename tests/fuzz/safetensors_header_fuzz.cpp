// libFuzzer target: any bytes are a safetensors file. Whatever they are, the parser returns or
// throws Error(kData); accepted tensors lie within the bytes.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "checkpoint/safetensors_header.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sparsescope;
  try {
    const SafetensorsHeader header =
        parse_safetensors_header(std::as_bytes(std::span(data, size)), "input");
    for (const TensorInfo& tensor : header.tensors) {
      if (tensor.end > size - header.buffer_offset) std::abort();
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) std::abort();
  }
  return 0;
}
