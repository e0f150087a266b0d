#include "core/dtype.h"

#include <array>
#include <cmath>

namespace sparsescope {
namespace {

struct DtypeRow {
  Dtype dtype;
  std::string_view file_name;
  std::string_view name;
  int bits;
};

constexpr std::array<DtypeRow, 22> kDtypes{{
    {Dtype::kBool, "BOOL", "bool", 8},
    {Dtype::kU8, "U8", "u8", 8},
    {Dtype::kI8, "I8", "i8", 8},
    {Dtype::kI16, "I16", "i16", 16},
    {Dtype::kU16, "U16", "u16", 16},
    {Dtype::kI32, "I32", "i32", 32},
    {Dtype::kU32, "U32", "u32", 32},
    {Dtype::kI64, "I64", "i64", 64},
    {Dtype::kU64, "U64", "u64", 64},
    {Dtype::kF16, "F16", "fp16", 16},
    {Dtype::kBF16, "BF16", "bf16", 16},
    {Dtype::kF32, "F32", "fp32", 32},
    {Dtype::kF64, "F64", "fp64", 64},
    {Dtype::kC64, "C64", "c64", 64},
    {Dtype::kF8E4M3, "F8_E4M3", "fp8_e4m3", 8},
    {Dtype::kF8E5M2, "F8_E5M2", "fp8_e5m2", 8},
    {Dtype::kF8E8M0, "F8_E8M0", "fp8_e8m0", 8},
    {Dtype::kF8E4M3Fnuz, "F8_E4M3FNUZ", "fp8_e4m3fnuz", 8},
    {Dtype::kF8E5M2Fnuz, "F8_E5M2FNUZ", "fp8_e5m2fnuz", 8},
    {Dtype::kF6E2M3, "F6_E2M3", "fp6_e2m3", 6},
    {Dtype::kF6E3M2, "F6_E3M2", "fp6_e3m2", 6},
    {Dtype::kF4, "F4", "fp4", 4},
}};

const DtypeRow& row(Dtype dtype) { return kDtypes[static_cast<size_t>(dtype)]; }

}  // namespace

int dtype_bits(Dtype dtype) { return row(dtype).bits; }
std::string_view dtype_file_name(Dtype dtype) { return row(dtype).file_name; }
std::string_view dtype_name(Dtype dtype) { return row(dtype).name; }

std::optional<Dtype> dtype_from_file_name(std::string_view name) {
  for (const DtypeRow& entry : kDtypes) {
    if (entry.file_name == name) return entry.dtype;
  }
  return std::nullopt;
}

float f16_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);  // subnormal or zero
  return sign != 0 ? -magnitude : magnitude;
}

uint16_t float_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {                         // below 2^-14: subnormal, units of 2^-24
    const float units = std::ldexp(std::bit_cast<float>(magnitude), 24);
    return sign | static_cast<uint16_t>(std::nearbyint(units));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return sign | static_cast<uint16_t>((rounded - 0x38000000u) >> 13);
}

}  // namespace sparsescope
