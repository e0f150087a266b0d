// The one comparison of tensors in tests: same shape, infinities and NaN at the same places, then
// max abs, relative L2 and cosine. A failure prints all of them, with the worst index and both
// values.
//
//   EXPECT_TRUE(near(out, expected, {.max_abs = 1e-5}));
//   EXPECT_TRUE(near(out.shape, out.values, expected.shape, expected.values, {.rel_l2 = 1e-6}));
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace sparsescope::testing {

// Every bound that is set must hold; the others are not judged. At least one has to be set.
struct Tolerance {
  double max_abs = std::numeric_limits<double>::infinity();     // max |a - b|
  double max_scaled = std::numeric_limits<double>::infinity();  // max |a - b| / max |b|
  double rel_l2 = std::numeric_limits<double>::infinity();      // norm(a - b) / norm(b)
  double min_cosine = -2.0;                                     // of the flattened tensors
};

// What two tensors of one shape differ by, over their finite elements.
struct Difference {
  double max_abs = 0, max_scaled = 0, rel_l2 = 0, cosine = 1;
  size_t worst = 0;  // flat index of max_abs
};

template <typename A, typename B>
Difference difference(const A& actual, const B& expected) {
  Difference result;
  double largest = 0, error = 0, norm_a = 0, norm_b = 0, dot = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto a = static_cast<double>(actual[i]);
    const auto b = static_cast<double>(expected[i]);
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    const double distance = std::abs(a - b);
    if (distance > result.max_abs) {
      result.max_abs = distance;
      result.worst = i;
    }
    largest = std::max(largest, std::abs(b));
    error += distance * distance;
    norm_a += a * a;
    norm_b += b * b;
    dot += a * b;
  }
  const auto ratio = [](double numerator, double denominator) {
    if (numerator == 0) return 0.0;
    return denominator > 0 ? numerator / denominator : std::numeric_limits<double>::infinity();
  };
  result.max_scaled = ratio(result.max_abs, largest);
  result.rel_l2 = ratio(std::sqrt(error), std::sqrt(norm_b));
  if (norm_a > 0 && norm_b > 0) result.cosine = dot / std::sqrt(norm_a * norm_b);
  return result;
}

// "[1, 0, 3]" for a flat index into a row-major tensor.
inline std::string index_to_string(size_t flat, const std::vector<int64_t>& shape) {
  std::vector<size_t> index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = flat % static_cast<size_t>(shape[axis]);
    flat /= static_cast<size_t>(shape[axis]);
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

template <typename A, typename B>
::testing::AssertionResult near(const std::vector<int64_t>& actual_shape, const A& actual,
                                const std::vector<int64_t>& expected_shape, const B& expected,
                                const Tolerance& tolerance) {
  const auto failure = [](const std::string& message) {
    return ::testing::AssertionFailure() << message;
  };
  if (actual_shape != expected_shape) {
    return failure(fmt::format("shape: expected [{}], found [{}]", fmt::join(expected_shape, ", "),
                               fmt::join(actual_shape, ", ")));
  }
  const auto count = static_cast<size_t>(std::accumulate(
      expected_shape.begin(), expected_shape.end(), int64_t{1}, std::multiplies<int64_t>()));
  if (actual.size() != count || expected.size() != count) {
    return failure(fmt::format("a shape of {} elements: expected has {}, actual has {}", count,
                               expected.size(), actual.size()));
  }
  if (!std::isfinite(tolerance.max_abs) && !std::isfinite(tolerance.max_scaled) &&
      !std::isfinite(tolerance.rel_l2) && tolerance.min_cosine < -1) {
    return failure("no bound is set: this comparison could not fail");
  }
  for (size_t i = 0; i < count; ++i) {
    const auto a = static_cast<double>(actual[i]);
    const auto b = static_cast<double>(expected[i]);
    const bool same = std::isnan(b) ? std::isnan(a) : std::isfinite(b) ? std::isfinite(a) : a == b;
    if (!same) {
      return failure(
          fmt::format("at {}: expected {}, found {}", index_to_string(i, expected_shape), b, a));
    }
  }
  const Difference found = difference(actual, expected);
  if (found.max_abs <= tolerance.max_abs && found.max_scaled <= tolerance.max_scaled &&
      found.rel_l2 <= tolerance.rel_l2 && found.cosine >= tolerance.min_cosine) {
    return ::testing::AssertionSuccess();
  }
  return failure(fmt::format(
      "max abs {:.3g} (bound {:.3g}), scaled {:.3g} ({:.3g}), rel l2 {:.3g} ({:.3g}), cosine "
      "{:.9f} "
      "({:.9f}); worst at {}: expected {}, found {}",
      found.max_abs, tolerance.max_abs, found.max_scaled, tolerance.max_scaled, found.rel_l2,
      tolerance.rel_l2, found.cosine, tolerance.min_cosine,
      index_to_string(found.worst, expected_shape), static_cast<double>(expected[found.worst]),
      static_cast<double>(actual[found.worst])));
}

// Flat ranges: vectors, spans, arrays.
template <typename A, typename B>
::testing::AssertionResult near(const A& actual, const B& expected, const Tolerance& tolerance) {
  return near({static_cast<int64_t>(actual.size())}, actual,
              {static_cast<int64_t>(expected.size())}, expected, tolerance);
}

}  // namespace sparsescope::testing
