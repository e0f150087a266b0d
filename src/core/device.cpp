#include "core/device.h"

#include <fmt/format.h>

#include <charconv>

#include "core/error.h"

namespace sparsescope {

Device parse_device(std::string_view text) {
  constexpr std::string_view kCuda = "cuda", kNumbered = "cuda:";
  if (text == "cpu") return {};
  if (text == kCuda) return {MemorySpace::kDevice, 0};
  int index = -1;
  if (text.starts_with(kNumbered)) {
    const std::string_view number = text.substr(kNumbered.size());
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error != std::errc{} || end != number.data() + number.size()) index = -1;
  }
  SPARSESCOPE_CHECK(ErrorKind::kUsage, index >= 0,
                    "device: expected cpu, cuda or cuda:<number>, found '{}'", text);
  return {MemorySpace::kDevice, index};
}

std::string to_string(const Device& device) {
  return device.is_cuda() ? fmt::format("cuda:{}", device.index) : "cpu";
}

}  // namespace sparsescope
