// 16-bit floats against the definition of their formats, for every bit pattern.
#include "core/dtype.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "core/rng.h"

namespace sparsescope {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Format {
  int exponent_bits, mantissa_bits;
};
constexpr Format kHalf{5, 10};
constexpr Format kBrain{8, 7};

// The value by definition: (-1)^s * 2^(e - bias) * 1.m, or 2^(1 - bias) * 0.m where e is 0.
double value_of(uint16_t bits, const Format& format) {
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int mantissa = bits & ((1 << format.mantissa_bits) - 1);
  const int exponent = (bits >> format.mantissa_bits) & ((1 << format.exponent_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const double fraction = mantissa / std::pow(2.0, format.mantissa_bits);
  if (exponent == (1 << format.exponent_bits) - 1) {
    return mantissa != 0 ? std::nan("") : sign * kInf;
  }
  if (exponent == 0) return sign * fraction * std::pow(2.0, 1 - bias);
  return sign * (1.0 + fraction) * std::pow(2.0, exponent - bias);
}

// The nearest 16-bit value by search over all of them, ties to the even pattern. Beyond the largest
// finite value, the next power of two stands for infinity.
uint16_t nearest(double value, const std::vector<double>& positive) {
  const double magnitude = std::abs(value);
  size_t high = static_cast<size_t>(std::lower_bound(positive.begin(), positive.end(), magnitude) -
                                    positive.begin());
  high = std::min(high, positive.size() - 1);
  const size_t low = high == 0 ? 0 : high - 1;
  const double below = magnitude - positive[low], above = positive[high] - magnitude;
  const size_t chosen = below < above || (below == above && low % 2 == 0) ? low : high;
  return static_cast<uint16_t>(chosen | (std::signbit(value) ? 0x8000u : 0u));
}

// Non-negative values in the order of their patterns, with a finite stand-in for infinity.
std::vector<double> positive_values(const Format& format) {
  std::vector<double> values;
  for (uint32_t bits = 0; std::isfinite(value_of(static_cast<uint16_t>(bits), format)); ++bits) {
    values.push_back(value_of(static_cast<uint16_t>(bits), format));
  }
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  values.push_back(std::pow(2.0, bias + 1));
  return values;
}

void check_decoding(float (*decode)(uint16_t), const Format& format) {
  for (uint32_t pattern = 0; pattern < 65536; ++pattern) {
    const auto bits = static_cast<uint16_t>(pattern);
    const double expected = value_of(bits, format);
    const float found = decode(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(found)) << pattern;
    } else {
      ASSERT_EQ(static_cast<double>(found), expected) << pattern;
      ASSERT_EQ(std::signbit(found), std::signbit(expected)) << pattern;
    }
  }
}

void check_round_trip(float (*decode)(uint16_t), uint16_t (*encode)(float)) {
  for (uint32_t pattern = 0; pattern < 65536; ++pattern) {
    const auto bits = static_cast<uint16_t>(pattern);
    const float value = decode(bits);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(decode(encode(value)))) << pattern;
    } else {
      ASSERT_EQ(encode(value), bits) << pattern;
    }
  }
}

// Every middle between two neighbours with the floats beside it, and random bit patterns.
void check_rounding(uint16_t (*encode)(float), const Format& format) {
  const std::vector<double> positive = positive_values(format);
  const auto check = [&](float value) {
    ASSERT_EQ(encode(value), nearest(value, positive)) << std::hexfloat << value;
    ASSERT_EQ(encode(-value), nearest(-value, positive)) << std::hexfloat << -value;
  };
  for (size_t i = 0; i + 1 < positive.size(); ++i) {
    const double middle = 0.5 * (positive[i] + positive[i + 1]);
    if (middle > std::numeric_limits<float>::max()) continue;
    const auto exact = static_cast<float>(middle);
    check(exact);
    check(std::nextafter(exact, 0.0f));
    check(std::nextafter(exact, std::numeric_limits<float>::max()));
  }
  for (uint64_t i = 0; i < 100000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(combine_key(1, i)));
    if (std::isfinite(value)) check(value);
  }
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(value_of(encode(kInfinity), format)));
  EXPECT_TRUE(std::signbit(value_of(encode(-kInfinity), format)));
}

TEST(Dtype, HalfDecodes) { check_decoding(f16_to_float, kHalf); }
TEST(Dtype, BrainDecodes) { check_decoding(bf16_to_float, kBrain); }
TEST(Dtype, HalfRoundTrip) { check_round_trip(f16_to_float, float_to_f16); }
TEST(Dtype, BrainRoundTrip) { check_round_trip(bf16_to_float, float_to_bf16); }
TEST(Dtype, HalfRoundsToNearestEven) { check_rounding(float_to_f16, kHalf); }
TEST(Dtype, BrainRoundsToNearestEven) { check_rounding(float_to_bf16, kBrain); }

TEST(Dtype, NamesAndWidths) {
  const std::vector<std::pair<Dtype, int>> widths{
      {Dtype::kBool, 8},   {Dtype::kU8, 8},         {Dtype::kI8, 8},         {Dtype::kI16, 16},
      {Dtype::kU16, 16},   {Dtype::kI32, 32},       {Dtype::kU32, 32},       {Dtype::kI64, 64},
      {Dtype::kU64, 64},   {Dtype::kF16, 16},       {Dtype::kBF16, 16},      {Dtype::kF32, 32},
      {Dtype::kF64, 64},   {Dtype::kC64, 64},       {Dtype::kF8E4M3, 8},     {Dtype::kF8E5M2, 8},
      {Dtype::kF8E8M0, 8}, {Dtype::kF8E4M3Fnuz, 8}, {Dtype::kF8E5M2Fnuz, 8}, {Dtype::kF6E2M3, 6},
      {Dtype::kF6E3M2, 6}, {Dtype::kF4, 4}};
  std::set<std::string_view> names;
  for (const auto& [dtype, bits] : widths) {
    EXPECT_EQ(dtype_bits(dtype), bits);
    EXPECT_EQ(dtype_from_file_name(dtype_file_name(dtype)), dtype);
    names.insert(dtype_name(dtype));
  }
  EXPECT_EQ(names.size(), widths.size());
  EXPECT_EQ(dtype_file_name(Dtype::kF8E4M3), "F8_E4M3");
  EXPECT_EQ(dtype_name(Dtype::kBF16), "bf16");
  EXPECT_FALSE(dtype_from_file_name("f32"));
  EXPECT_FALSE(dtype_from_file_name(""));
}

}  // namespace
}  // namespace sparsescope
