// BSA's cut on rows of which the law is known, a tabled quantile, and curves that are known
// exactly.
#include "summary/gaussian_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "capture/gaussian_cut.h"

namespace sparsescope {
namespace {

double upper_tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

double density(int64_t tiles, double kappa) {
  return gaussian_row_densities(tiles, std::vector{kappa}).at(0);
}

TEST(GaussianRows, OfManyTilesKeepKappa) {
  for (const double kappa : {0.1, 0.25, 0.5}) EXPECT_NEAR(density(4096, kappa), kappa, 0.003);
}

// r = (x - mean) / deviation has r^2 <= N - 1, and two scores cannot both pass sqrt((N - 2) / 2).
TEST(GaussianRows, OfFewTilesFollowWhatTheirOwnDeviationAllows) {
  EXPECT_EQ(density(1, 0.1), 1);
  EXPECT_EQ(density(5, 1), 1);
  EXPECT_EQ(density(2, 0.25), 0.5);                   // scores stand at -1 and +1
  EXPECT_NEAR(density(3, 1.0 / 8), 1.0 / 3, 1e-12);   // z = 1.15 > 0.707
  EXPECT_NEAR(density(8, 1.0 / 64), 1.0 / 8, 1e-12);  // z = 2.15 > 1.73
  // Thompson: r sqrt(30) / sqrt(31 - r^2) is Student's t with 30 degrees of freedom, and
  // P(t > 0.66846) = 0.2545 for r = z(1/4); rows without a score above it are rare.
  EXPECT_NEAR(density(32, 0.25), 0.2545, 0.004);
}

TEST(CornishFisher, GivesATabledQuantile) {
  // chi^2 with 200 degrees of freedom: skewness 0.2, excess kurtosis 0.06, 95 % below 233.994
  EXPECT_NEAR(cornish_fisher(1.6448536, 0.2, 0.06), (233.994 - 200) / 20, 1e-4);
  EXPECT_EQ(cornish_fisher(1.5, 0, 0), 1.5);
}

TEST(FittedCut, OfShiftedNormalScoresIsExact) {
  const std::vector<double> kappas{1.0 / 64, 1.0 / 8, 1.0 / 4, 1.0 / 2, 1};
  for (const double shift : {-0.3, 0.0, 0.3}) {
    std::vector<double> densities;
    for (const double kappa : kappas) densities.push_back(upper_tail(gaussian_cut(kappa) - shift));
    densities.back() = 1;
    for (const double kappa : {1.0 / 8, 0.2, 1.0 / 4}) {
      const auto cut = fitted_cut(kappas, densities, kappa);
      ASSERT_TRUE(cut);
      EXPECT_NEAR(*cut, gaussian_cut(kappa) + shift, 1e-9) << shift << " " << kappa;
    }
  }
}

TEST(FittedCut, IsNotThereWhereTheDensityNeverIsThatSmall) {
  const std::vector<double> kappas{1.0 / 8, 1.0 / 2, 1}, densities{0.25, 0.25, 1};
  EXPECT_FALSE(fitted_cut(kappas, densities, 0.2));
  EXPECT_NEAR(fitted_cut(kappas, densities, 0.25).value(), gaussian_cut(1.0 / 8), 1e-12);
  // Next to kappa 1 linear: a third of the way from 1/4 to 1.
  EXPECT_NEAR(fitted_cut(kappas, densities, 0.5).value(), gaussian_cut(2.0 / 3), 1e-12);
}

}  // namespace
}  // namespace sparsescope
