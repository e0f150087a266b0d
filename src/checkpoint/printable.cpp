#include "checkpoint/printable.h"

#include <fmt/format.h>

namespace sparsescope {
namespace {

constexpr size_t kLongest = 120;  // bytes of a name that a message shows
constexpr size_t kEnds = 50;      // bytes kept of each end of a longer one

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

// Cuts at character borders: a split UTF-8 sequence would be garbage.
std::string shortened(std::string_view name) {
  if (name.size() <= kLongest) return std::string(name);
  size_t head = kEnds;
  while (head > 0 && is_continuation(name[head])) --head;
  size_t tail = name.size() - kEnds;
  while (tail < name.size() && is_continuation(name[tail])) ++tail;
  return fmt::format("{}...({} bytes)...{}", name.substr(0, head), name.size(), name.substr(tail));
}

}  // namespace

std::string printable(std::string_view name) {
  const std::string text = shortened(name);
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0u;
    if (byte == 0xc2u && next >= 0x80u && next <= 0x9fu) {  // the C1 controls U+0080 .. U+009F
      result += fmt::format("\\x{:02x}", next);
      ++i;
    } else if (byte < 0x20u || byte == 0x7fu) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace sparsescope
