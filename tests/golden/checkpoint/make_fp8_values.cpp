// Prints fp8_values.json: what PyTorch makes of all 256 bytes of each 8-bit float type, as
// {"F8_E4M3": [256 values], ...} with infinities and NaN as strings. Made with torch 2.11.0:
//   g++ -std=c++20 -I TORCH/include make_fp8_values.cpp -L TORCH/lib -lc10 -o make
#include <c10/util/Float8_e4m3fn.h>
#include <c10/util/Float8_e4m3fnuz.h>
#include <c10/util/Float8_e5m2.h>
#include <c10/util/Float8_e5m2fnuz.h>
#include <c10/util/Float8_e8m0fnu.h>
#define FMT_HEADER_ONLY  // torch brings its own headers of fmt
#include <fmt/format.h>

#include <cmath>
#include <cstdint>

namespace {

template <typename Fp8>
void print_values(const char* name, const char* end) {
  fmt::print("\"{}\":[", name);
  for (int code = 0; code < 256; ++code) {
    const float value = static_cast<float>(Fp8(static_cast<uint8_t>(code), Fp8::from_bits()));
    const char* comma = code < 255 ? "," : "";
    if (std::isnan(value)) {
      fmt::print("\"nan\"{}", comma);
    } else if (std::isinf(value)) {
      fmt::print("\"{}\"{}", value, comma);
    } else if (value == 0) {
      fmt::print("{}0.0{}", std::signbit(value) ? "-" : "", comma);  // "-0" would be an integer
    } else {
      fmt::print("{}{}", static_cast<double>(value), comma);
    }
  }
  fmt::print("]{}\n", end);
}

}  // namespace

int main() {
  fmt::print("{{");
  print_values<c10::Float8_e4m3fn>("F8_E4M3", ",");
  print_values<c10::Float8_e5m2>("F8_E5M2", ",");
  print_values<c10::Float8_e8m0fnu>("F8_E8M0", ",");
  print_values<c10::Float8_e4m3fnuz>("F8_E4M3FNUZ", ",");
  print_values<c10::Float8_e5m2fnuz>("F8_E5M2FNUZ", "}");
}
