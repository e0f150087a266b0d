#include "checkpoint/safetensors_header.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <tuple>

#include "checkpoint/header_reader.h"
#include "checkpoint/printable.h"
#include "core/error.h"

namespace sparsescope {
namespace {

constexpr size_t kLengthBytes = 8;

uint64_t little_endian_u64(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = (value << 8) | std::to_integer<uint64_t>(bytes[i]);
  return value;
}

// The JSON text, without its padding.
std::string_view header_text(std::span<const std::byte> file, const std::string& what) {
  constexpr std::string_view kHint = "truncated, or no safetensors file: download it again";
  SPARSESCOPE_CHECK(ErrorKind::kData, file.size() >= kLengthBytes,
                    "{}: expected at least {} bytes, found {}; {}", what, kLengthBytes, file.size(),
                    kHint);
  const uint64_t length = little_endian_u64(file);
  SPARSESCOPE_CHECK(ErrorKind::kData, length <= kMaxHeaderBytes,
                    "{}: header length: expected at most {} bytes, found {}; {}", what,
                    kMaxHeaderBytes, length, kHint);
  SPARSESCOPE_CHECK(ErrorKind::kData, length <= file.size() - kLengthBytes,
                    "{}: expected at least {} bytes (a header of {}), found {}; {}", what,
                    kLengthBytes + length, length, file.size(), kHint);
  std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  SPARSESCOPE_CHECK(ErrorKind::kData, text.starts_with('{'),
                    "{}: header byte 0: expected '{{', found {}", what,
                    text.empty() ? "an empty header" : "'" + printable(text.substr(0, 1)) + "'");
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  SPARSESCOPE_CHECK(ErrorKind::kData, text.ends_with('}'),
                    "{}: header: expected '}}' and then only spaces at its end, found '{}'", what,
                    printable(text.substr(text.size() - 1)));
  // The JSON parser takes a NUL for the end of its input.
  const size_t nul = text.find('\0');
  SPARSESCOPE_CHECK(ErrorKind::kData, nul == std::string_view::npos,
                    "{}: header byte {}: expected JSON, found a NUL byte", what, nul);
  return text;
}

// Without holes and overlaps, and exactly as long as the buffer.
void check_coverage(const std::vector<TensorInfo>& tensors, uint64_t buffer_offset,
                    uint64_t file_size, const std::string& what) {
  uint64_t end = 0;
  for (const TensorInfo& tensor : tensors) {
    SPARSESCOPE_CHECK(ErrorKind::kData, tensor.begin == end,
                      "{}: tensor \"{}\": data_offsets: expected to begin at {}, where the tensor "
                      "before ends, found {}",
                      what, printable(tensor.name), end, tensor.begin);
    end = tensor.end;
  }
  const uint64_t buffer = file_size - buffer_offset;
  SPARSESCOPE_CHECK(
      ErrorKind::kData, end <= buffer,
      "{}: expected {} bytes of tensors behind a header of {}, found {} (the file has "
      "{}); truncated: download it again",
      what, end, buffer_offset, buffer, file_size);
  SPARSESCOPE_CHECK(ErrorKind::kData, end == buffer,
                    "{}: expected a file of {} bytes, found {}: {} bytes behind the last tensor",
                    what, buffer_offset + end, file_size, buffer - end);
}

// Sorted indices instead of a set: the memory of a hostile header stays small.
void check_unique_names(const std::vector<TensorInfo>& tensors, const std::string& what) {
  std::vector<uint32_t> by_name(tensors.size());
  std::iota(by_name.begin(), by_name.end(), 0u);
  std::sort(by_name.begin(), by_name.end(),
            [&](uint32_t a, uint32_t b) { return tensors[a].name < tensors[b].name; });
  const auto twice = std::adjacent_find(
      by_name.begin(), by_name.end(),
      [&](uint32_t a, uint32_t b) { return tensors[a].name == tensors[b].name; });
  SPARSESCOPE_CHECK(ErrorKind::kData, twice == by_name.end(), "{}: the tensor \"{}\" stands twice",
                    what, printable(tensors[*twice].name));
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& what) {
  const std::string_view text = header_text(file, what);
  HeaderReader reader(what);
  nlohmann::json::sax_parse(text, &reader);

  SafetensorsHeader header;
  header.tensors = std::move(reader.tensors);
  header.metadata = std::move(reader.metadata);
  header.buffer_offset = kLengthBytes + little_endian_u64(file);
  // Empty tensors share a begin with their neighbour: the end decides.
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) {
              return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
            });
  check_unique_names(header.tensors, what);
  check_coverage(header.tensors, header.buffer_offset, file.size(), what);
  return header;
}

}  // namespace sparsescope
