#include "validate/requirements.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "validate/video_quality.h"

namespace sparsescope {
namespace {

constexpr std::string_view kBlanks = " \t\n";
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Requirement parse_requirement(std::string_view text) {
  const size_t sign = text.find_first_of("<>");
  const bool has_sign = sign != std::string_view::npos && text.substr(sign + 1, 1) == "=";
  SPARSESCOPE_CHECK(ErrorKind::kUsage, has_sign,
                    "--require: expected NAME>=NUMBER or NAME<=NUMBER, found '{}'", text);
  Requirement requirement;
  requirement.name = text.substr(0, sign);
  if (requirement.name == "psnr" || requirement.name == "ssim") requirement.name += "_latent";
  const std::vector<std::string>& names = summary_names();
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    std::find(names.begin(), names.end(), requirement.name) != names.end(),
                    "--require: unknown name '{}', expected one of psnr, ssim, {}",
                    requirement.name, fmt::join(names, ", "));
  requirement.comparison = text[sign] == '>' ? BoundKind::kAtLeast : BoundKind::kAtMost;
  const std::string_view number = text.substr(sign + 2);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), requirement.bound);
  SPARSESCOPE_CHECK(ErrorKind::kUsage,
                    error == std::errc() && end == number.data() + number.size() &&
                        std::isfinite(requirement.bound),
                    "--require: {}: expected a number, found '{}'", text.substr(0, sign + 2),
                    number);
  return requirement;
}

}  // namespace

const std::vector<std::string>& summary_names() {
  static const std::vector<std::string> names{"density",
                                              "recall",
                                              "rel_l1",
                                              "rel_l2",
                                              "cosine",
                                              "output_rel_l2",
                                              "psnr_latent",
                                              "ssim_latent",
                                              "psnr_pixel",
                                              "ssim_pixel",
                                              "time_dense_ms",
                                              "time_sparse_ms",
                                              "time_selection_ms",
                                              "speedup"};
  return names;
}

NaturalRange natural_range(std::string_view name) {
  if (name == "density" || name == "recall") return {0.0, 1.0};
  if (name == "cosine" || name.starts_with("ssim")) return {-1.0, 1.0};
  if (name.starts_with("psnr")) return {-kInfinity, kMaxPsnr};
  return {0.0, kInfinity};
}

std::vector<Requirement> parse_requirements(std::string_view text) {
  std::vector<Requirement> result;
  for (size_t first = text.find_first_not_of(kBlanks); first != std::string_view::npos;
       first = text.find_first_not_of(kBlanks, first)) {
    const size_t end = std::min(text.find_first_of(kBlanks, first), text.size());
    result.push_back(parse_requirement(text.substr(first, end - first)));
    first = end;
  }
  return result;
}

std::string to_string(BoundKind comparison) {
  return comparison == BoundKind::kAtLeast ? ">=" : "<=";
}

}  // namespace sparsescope
