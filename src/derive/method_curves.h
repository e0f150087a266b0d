// What a profile says about one sparse method: how density and recall of a site follow from the
// method's setting. A site's measured numbers form a sample; samples are averaged over any set of
// sites, and evaluate() of an average is the average of evaluate(): both are linear in the sample.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "stats/profile.h"

namespace sparsescope {

class SettingCosts;

struct OperatingPoint {
  double density = 1.0;
  double recall = 1.0;
};

struct Setting {
  MethodParams params;
  OperatingPoint point;
  bool reaches = true;  // false: no setting has the recall asked for; this one has the most
};

struct ProfileSite {
  int64_t prompt = 0, branch = 0, step = 0, layer = 0, head = 0;
};

class MethodCurves {
 public:
  virtual ~MethodCurves() = default;
  virtual size_t sample_size() const = 0;
  virtual void read_sample(const ProfileSite& site, std::span<double> sample) const = 0;

  // Alternatives of which all heads and steps of a layer must share one (VMoBA: the partition).
  virtual int num_variants() const { return 1; }
  // The setting of least cost whose recall is at least the one asked for; where methods have one
  // knob that is the setting of least density.
  virtual Setting cheapest(std::span<const double> sample, double recall, int variant,
                           const SettingCosts& costs) const = 0;
  virtual OperatingPoint evaluate(std::span<const double> sample,
                                  const MethodParams& params) const = 0;
  // Whether the density follows from the setting alone, whatever the prompt.
  virtual bool density_is_fixed() const { return false; }
  // How settings were chosen and what the numbers assume, for the plan's evidence.
  virtual std::vector<std::string> remarks() const = 0;
};

// The recall that rounding of stored fp32 statistics may cost.
inline constexpr double kRecallSlack = 1e-6;

// choice: by what the tiles are chosen. min_blocks: the best tiles that every list of BSA holds.
// all_heads: a setting holds for all heads of a layer, which VMoBA's pools across heads need.
// Error(kData) where the profile lacks the method's statistics. The profile must outlive the
// result.
std::unique_ptr<MethodCurves> make_vsa_curves(const Profile& profile,
                                              TileChoice choice = TileChoice::kPooled);
std::unique_ptr<MethodCurves> make_bsa_curves(const Profile& profile, int64_t min_blocks = 1);
std::unique_ptr<MethodCurves> make_vmoba_curves(const Profile& profile, bool all_heads);
std::unique_ptr<MethodCurves> make_method_curves(const Profile& profile, Method method,
                                                 bool all_heads);

// Probability of a site's video rows on text keys, which every sparse method keeps besides its
// selection; 0 without text.
double text_mass(const Profile& profile, const ProfileSite& site);
// The values of a statistic at a site; checks their number.
std::span<const float> site_values(const Profile& profile, const std::string& name,
                                   const ProfileSite& site, size_t count);

// y at x of the polyline through (knots[i], values[i]); knots ascend, x is clamped to them.
double interpolate(std::span<const double> knots, std::span<const double> values, double x);
// The least x at which the polyline reaches y, or the last knot where it never does.
double first_reaching(std::span<const double> knots, std::span<const double> values, double y);

}  // namespace sparsescope
