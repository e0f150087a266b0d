// Element types of tensors and files, and the conversions between the floating ones.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sparsescope {

// The types of safetensors files; kernels compute on kF32, kBF16 and kF16 only.
enum class Dtype {
  kBool, kU8, kI8, kI16, kU16, kI32, kU32, kI64, kU64,
  kF16, kBF16, kF32, kF64, kC64,
  kF8E4M3, kF8E5M2, kF8E8M0, kF8E4M3Fnuz, kF8E5M2Fnuz, kF6E2M3, kF6E3M2, kF4,
};

int dtype_bits(Dtype dtype);
// The safetensors spelling: "F32", "BF16", "F8_E4M3", ...
std::string_view dtype_file_name(Dtype dtype);
std::optional<Dtype> dtype_from_file_name(std::string_view name);
// The spelling of options and messages: "fp32", "bf16", "fp16", "i64", ...
std::string_view dtype_name(Dtype dtype);

inline float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// Round to nearest, ties to even; NaN stays a (quiet) NaN.
inline uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float f16_to_float(uint16_t bits);
uint16_t float_to_f16(float value);

}  // namespace sparsescope
