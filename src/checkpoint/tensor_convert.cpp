// Stored tensors as fp32 or int64. fp8 types go through tables of their 256 values.
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "checkpoint/printable.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"

namespace sparsescope {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
using Fp8Table = std::array<float, 256>;

// sign, exponent and mantissa of an 8-bit float without special values.
float decode_finite(int byte, int exponent_bits, int mantissa_bits, int bias) {
  const int mantissa = byte & ((1 << mantissa_bits) - 1);
  const int exponent = (byte >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int significand = exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
  const float magnitude =
      std::ldexp(static_cast<float>(significand), std::max(exponent, 1) - bias - mantissa_bits);
  return (byte & 0x80) != 0 ? -magnitude : magnitude;
}

template <typename Decode>
Fp8Table make_table(Decode decode) {
  Fp8Table table{};
  for (int byte = 0; byte < 256; ++byte) table[static_cast<size_t>(byte)] = decode(byte);
  return table;
}

const Fp8Table& fp8_table(Dtype dtype) {
  // No infinity; all exponent and mantissa bits set is NaN.
  static const Fp8Table e4m3 = make_table(
      [](int byte) { return (byte & 0x7f) == 0x7f ? kNaN : decode_finite(byte, 4, 3, 7); });
  // The high byte of an fp16.
  static const Fp8Table e5m2 =
      make_table([](int byte) { return f16_to_float(static_cast<uint16_t>(byte << 8)); });
  // A power of two without sign.
  static const Fp8Table e8m0 =
      make_table([](int byte) { return byte == 0xff ? kNaN : std::ldexp(1.0f, byte - 127); });
  // In the FNUZ variants the pattern of -0 is the only NaN.
  static const Fp8Table e4m3fnuz =
      make_table([](int byte) { return byte == 0x80 ? kNaN : decode_finite(byte, 4, 3, 8); });
  static const Fp8Table e5m2fnuz =
      make_table([](int byte) { return byte == 0x80 ? kNaN : decode_finite(byte, 5, 2, 16); });
  switch (dtype) {
    case Dtype::kF8E4M3:
      return e4m3;
    case Dtype::kF8E5M2:
      return e5m2;
    case Dtype::kF8E8M0:
      return e8m0;
    case Dtype::kF8E4M3Fnuz:
      return e4m3fnuz;
    case Dtype::kF8E5M2Fnuz:
      return e5m2fnuz;
    default:
      fail(ErrorKind::kInternal, "{} has no table of 256 values", dtype_name(dtype));
  }
}

// convert(element) for every element; data may be misaligned for Source.
template <typename Source, typename Target, typename Convert>
std::vector<Target> convert_all(const StoredTensor& tensor, Convert convert) {
  std::vector<Target> result(tensor.bytes / sizeof(Source));
  const std::byte* at = tensor.data;
  for (Target& target : result) {
    Source source;
    std::memcpy(&source, at, sizeof(Source));
    target = convert(source);
    at += sizeof(Source);
  }
  return result;
}

template <typename Source, typename Target>
std::vector<Target> cast_all(const StoredTensor& tensor) {
  return convert_all<Source, Target>(tensor,
                                     [](Source value) { return static_cast<Target>(value); });
}

}  // namespace

std::vector<float> to_float(const StoredTensor& tensor, const std::string& name) {
  switch (tensor.dtype) {
    case Dtype::kF32:
      return cast_all<float, float>(tensor);
    case Dtype::kF64:
      return cast_all<double, float>(tensor);
    case Dtype::kF16:
      return convert_all<uint16_t, float>(tensor, f16_to_float);
    case Dtype::kBF16:
      return convert_all<uint16_t, float>(tensor, bf16_to_float);
    case Dtype::kF8E4M3:
    case Dtype::kF8E5M2:
    case Dtype::kF8E8M0:
    case Dtype::kF8E4M3Fnuz:
    case Dtype::kF8E5M2Fnuz: {
      const Fp8Table& table = fp8_table(tensor.dtype);
      return convert_all<uint8_t, float>(tensor, [&](uint8_t byte) { return table[byte]; });
    }
    default:
      fail(ErrorKind::kUnsupported,
           "tensor \"{}\": expected a floating type (fp64, fp32, fp16, bf16, fp8), found {}",
           printable(name), dtype_name(tensor.dtype));
  }
}

std::vector<int64_t> to_int64(const StoredTensor& tensor, const std::string& name) {
  switch (tensor.dtype) {
    case Dtype::kI8:
      return cast_all<int8_t, int64_t>(tensor);
    case Dtype::kU8:
      return cast_all<uint8_t, int64_t>(tensor);
    case Dtype::kI16:
      return cast_all<int16_t, int64_t>(tensor);
    case Dtype::kU16:
      return cast_all<uint16_t, int64_t>(tensor);
    case Dtype::kI32:
      return cast_all<int32_t, int64_t>(tensor);
    case Dtype::kU32:
      return cast_all<uint32_t, int64_t>(tensor);
    case Dtype::kI64:
      return cast_all<int64_t, int64_t>(tensor);
    case Dtype::kU64:
      return convert_all<uint64_t, int64_t>(tensor, [&](uint64_t value) {
        SPARSESCOPE_CHECK(ErrorKind::kUnsupported, value <= uint64_t{INT64_MAX},
                          "tensor \"{}\": expected values below 2^63, found {}", printable(name),
                          value);
        return static_cast<int64_t>(value);
      });
    case Dtype::kBool:
      return convert_all<uint8_t, int64_t>(tensor, [](uint8_t byte) { return byte != 0 ? 1 : 0; });
    default:
      fail(ErrorKind::kUnsupported, "tensor \"{}\": expected an integer type or bool, found {}",
           printable(name), dtype_name(tensor.dtype));
  }
}

}  // namespace sparsescope
