// safetensors files put together byte by byte, also broken ones.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sparsescope::testing {

inline std::string little_endian_u64(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xffu);
  return bytes;
}

// The header as given, with its true length, and zeros as the buffer.
inline std::string raw_file(std::string_view header, size_t buffer_bytes = 0) {
  return little_endian_u64(header.size()) + std::string(header) + std::string(buffer_bytes, '\0');
}

// One tensor "a" with the given field texts.
inline std::string one_tensor(std::string_view dtype, std::string_view shape,
                              std::string_view offsets, size_t buffer_bytes) {
  return raw_file(fmt::format(R"({{"a":{{"dtype":"{}","shape":{},"data_offsets":{}}}}})", dtype,
                              shape, offsets),
                  buffer_bytes);
}

// The entry of a byte tensor, without braces around it.
inline std::string u8_entry(std::string_view name, uint64_t begin, uint64_t end) {
  return fmt::format(R"("{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})", name,
                     end - begin, begin, end);
}

// Entries as a header.
inline std::string header_of(const std::vector<std::string>& entries) {
  return fmt::format("{{{}}}", fmt::join(entries, ","));
}

}  // namespace sparsescope::testing
