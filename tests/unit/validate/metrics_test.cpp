// Metrics against values worked out by hand, and SSIM against its formula written as plain loops.
#include "validate/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/rng.h"
#include "validate/ssim.h"
#include "validate/video_quality.h"

namespace sparsescope {
namespace {

ErrorSums sums_of(const std::vector<float>& reference, const std::vector<float>& other) {
  ErrorSums sums;
  sums.add(reference, other);
  return sums;
}

TEST(Metrics, ErrorsByHand) {
  // Differences 0, -1, 2, 0.
  const ErrorSums sums = sums_of({3, 0, -4, 0}, {3, 1, -6, 0});
  EXPECT_DOUBLE_EQ(sums.rel_l1(), 3.0 / 7);
  EXPECT_DOUBLE_EQ(sums.rel_l2(), std::sqrt(5.0) / 5);
  EXPECT_DOUBLE_EQ(sums.cosine(), (9 + 24) / (5 * std::sqrt(9.0 + 1 + 36)));
}

TEST(Metrics, PartsMergeToTheWhole) {
  ErrorSums merged = sums_of({3, 0}, {3, 1});
  merged.merge(sums_of({-4, 0}, {-6, 0}));
  EXPECT_DOUBLE_EQ(merged.rel_l1(), 3.0 / 7);
  EXPECT_DOUBLE_EQ(merged.rel_l2(), std::sqrt(5.0) / 5);
  EXPECT_DOUBLE_EQ(merged.cosine(), 33 / (5 * std::sqrt(46.0)));
}

TEST(Metrics, ZeroDenominators) {
  EXPECT_EQ(sums_of({0, 0}, {0, 0}).rel_l1(), 0.0);
  EXPECT_EQ(sums_of({0, 0}, {0, 0}).rel_l2(), 0.0);
  EXPECT_EQ(sums_of({0, 0}, {0, 0}).cosine(), 1.0);
  EXPECT_TRUE(std::isinf(sums_of({0, 0}, {0, 1}).rel_l1()));
  EXPECT_TRUE(std::isinf(sums_of({0, 0}, {0, 1}).rel_l2()));
  EXPECT_EQ(sums_of({0, 0}, {0, 1}).cosine(), 0.0);
}

TEST(Metrics, PsnrByHand) {
  const std::vector<float> dense{0, 1, 2, 4}, sparse{0, 1, 2, 3};
  // mean square 1/4, range 4: 10 log10(64)
  EXPECT_NEAR(psnr(dense, sparse, value_range(dense)), 18.0617997398, 1e-9);
  EXPECT_TRUE(std::isinf(psnr(dense, dense, 4)));
}

TEST(Metrics, EqualVideosStandAsHundred) {
  const HostTensor video{{1, 1, 1, 2, 2}, {0.0f, 0.5f, -0.5f, 1.0f}};
  EXPECT_EQ(latent_quality(video, video).psnr, 100.0);
  EXPECT_NEAR(latent_quality(video, video).ssim, 1.0, 1e-12);
}

TEST(Metrics, PixelsAreClippedToUnitRange) {
  // -1.5 and -1 are both black; 1 against 0 is white against grey: mean square 0.25 / 4.
  const HostTensor dense{{1, 1, 2, 2}, {-1.0f, 1.0f, 0.0f, 0.0f}};
  const HostTensor sparse{{1, 1, 2, 2}, {-1.5f, 0.0f, 0.0f, 0.0f}};
  EXPECT_NEAR(pixel_quality(dense, sparse).psnr, 10 * std::log10(16.0), 1e-6);
}

// One window after another, the two-dimensional Gaussian written out, central moments directly.
double naive_ssim(const std::vector<float>& x, const std::vector<float>& y, int height, int width,
                  double range, int window) {
  std::vector<double> weight;
  double total = 0;
  for (int i = 0; i < window; ++i) {
    for (int j = 0; j < window; ++j) {
      const double di = i - window / 2, dj = j - window / 2;
      weight.push_back(std::exp(-(di * di + dj * dj) / (2 * 1.5 * 1.5)));
      total += weight.back();
    }
  }
  const double c1 = std::pow(0.01 * range, 2), c2 = std::pow(0.03 * range, 2);
  double sum = 0;
  int count = 0;
  const int planes = static_cast<int>(x.size()) / (height * width);
  for (int plane = 0; plane < planes; ++plane) {
    for (int top = 0; top + window <= height; ++top) {
      for (int left = 0; left + window <= width; ++left) {
        const auto at = [&](int k) {
          return static_cast<size_t>((plane * height + top + k / window) * width + left +
                                     k % window);
        };
        double mx = 0, my = 0, vx = 0, vy = 0, vxy = 0;
        for (int k = 0; k < window * window; ++k) {
          mx += weight[static_cast<size_t>(k)] / total * x[at(k)];
          my += weight[static_cast<size_t>(k)] / total * y[at(k)];
        }
        for (int k = 0; k < window * window; ++k) {
          const double w = weight[static_cast<size_t>(k)] / total;
          vx += w * (x[at(k)] - mx) * (x[at(k)] - mx);
          vy += w * (y[at(k)] - my) * (y[at(k)] - my);
          vxy += w * (x[at(k)] - mx) * (y[at(k)] - my);
        }
        sum += (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2));
        ++count;
      }
    }
  }
  return sum / count;
}

void expect_ssim(int planes, int height, int width, int window) {
  std::vector<float> x, y;
  for (int i = 0; i < planes * height * width; ++i) {
    const auto at = static_cast<uint64_t>(i);
    x.push_back(static_cast<float>(0.5 + 0.3 * std::sin(0.4 * i) + 0.1 * normal(1, at)));
    y.push_back(x.back() + static_cast<float>(0.15 * normal(2, at)));
  }
  const double expected = naive_ssim(x, y, height, width, 1.0, window);
  ASSERT_LT(expected, 0.95);  // not trivial
  EXPECT_NEAR(ssim(x, y, height, width, 1.0), expected, 1e-12);
}

TEST(Ssim, AgreesWithItsFormula) {
  expect_ssim(3, 17, 14, 11);
  expect_ssim(1, 11, 11, 11);
}

TEST(Ssim, SmallPlanesUseTheLargestOddWindow) {
  expect_ssim(2, 8, 20, 7);
  expect_ssim(2, 9, 10, 9);
}

TEST(Ssim, FlatPlanesByHand) {
  // No variance: (2*0.5*0.25 + C1) / (0.25 + 0.0625 + C1), C1 = 1e-4.
  const std::vector<float> x(121, 0.5f), y(121, 0.25f);
  EXPECT_NEAR(ssim(x, y, 11, 11, 1.0), 0.2501 / 0.3126, 1e-9);
}

}  // namespace
}  // namespace sparsescope
