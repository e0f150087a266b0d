// What BSA's cut-off keeps of a row of N normal scores, and how far from the normal cut z other
// scores need theirs. z = Phi^-1(1 - kappa), in standard deviations of the row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sparsescope {

// Mean kept share of rows of `tiles` independent normal scores under the rule of bsa_density: cut
// at mean + z * population deviation of the row itself, the best always kept. In short rows that
// is not kappa: a row's own mean and deviation bound its scores. Simulated, with the same random
// numbers every time; standard error about 0.001. [kappas]
std::vector<double> gaussian_row_densities(int64_t tiles, std::span<const double> kappas);

// The quantile of scores with this skewness and excess kurtosis where normal ones have z, to the
// second order of Cornish and Fisher.
double cornish_fisher(double z, double skewness, double excess_kurtosis);

// The cut, in deviations, at which the measured density is kappa; densities[i] was kept at the cut
// of kappas[i], both ascending. Linear between measured points with both as normal quantiles, which
// is exact for normal scores that are shifted or scaled; linear in kappa next to kappa 1, where
// quantiles end. Nothing where the density is never that small.
std::optional<double> fitted_cut(std::span<const double> kappas, std::span<const double> densities,
                                 double kappa);

}  // namespace sparsescope
