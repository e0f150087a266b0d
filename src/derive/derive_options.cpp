#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/error.h"
#include "derive/derive.h"

namespace sparsescope {
namespace {

constexpr std::array<std::pair<std::string_view, Granularity>, 4> kGranularities{{
    {"model", Granularity::kModel},
    {"layer", Granularity::kLayer},
    {"head", Granularity::kHead},
    {"head-step", Granularity::kHeadStep},
}};

constexpr std::array<std::pair<std::string_view, TargetKind>, 4> kTargets{{
    {"recall", TargetKind::kRecall},
    {"density", TargetKind::kDensity},
    {"error", TargetKind::kError},
    {"speedup", TargetKind::kSpeedup},
}};

constexpr double kMostSpeedup = 1e6;

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

DeriveTarget parse_target(std::string_view text) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const double value = equals == std::string_view::npos
                           ? 0.0
                           : parse_number<double>(text.substr(equals + 1)).value_or(0.0);
  const auto kind = std::find_if(kTargets.begin(), kTargets.end(),
                                 [&](const auto& target) { return target.first == name; });
  const bool speed = kind != kTargets.end() && kind->second == TargetKind::kSpeedup;
  const bool fits = speed ? value > 1 && value <= kMostSpeedup : value > 0 && value <= 1;
  SPARSESCOPE_CHECK(ErrorKind::kUsage, kind != kTargets.end() && fits,
                    "--target: expected recall=R, density=D or error=E with a value above 0 and at "
                    "most 1, or speedup=X above 1, found '{}'",
                    text);
  return {kind->second, value};
}

Weighing parse_weighing(std::string_view text) {
  if (text == "auto") return Weighing::kAuto;
  if (text == "effect") return Weighing::kEffect;
  if (text == "recall") return Weighing::kRecall;
  fail(ErrorKind::kUsage, "--weigh: expected auto, effect or recall, found '{}'", text);
}

Granularity parse_granularity(std::string_view text) {
  for (const auto& [name, granularity] : kGranularities) {
    if (name == text) return granularity;
  }
  fail(ErrorKind::kUsage, "--per: expected model, layer, head or head-step, found '{}'", text);
}

Method parse_sparse_method(std::string_view text) {
  for (const Method method : {Method::kBsa, Method::kVsa, Method::kVmoba}) {
    if (text == to_string(method)) return method;
  }
  fail(ErrorKind::kUsage, "--method: expected bsa, vsa or vmoba, found '{}'", text);
}

std::optional<int64_t> parse_dense_first_steps(std::string_view text) {
  if (text == "auto") return std::nullopt;
  const std::optional<int64_t> steps = parse_number<int64_t>(text);
  SPARSESCOPE_CHECK(ErrorKind::kUsage, steps && *steps >= 0,
                    "--dense-first-steps: expected auto or a number of steps, found '{}'", text);
  return steps;
}

std::optional<std::vector<int64_t>> parse_dense_layers(std::string_view text) {
  if (text == "auto") return std::nullopt;
  std::vector<int64_t> layers;
  if (text == "none") return layers;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    const std::optional<int64_t> layer = parse_number<int64_t>(rest.substr(0, comma));
    SPARSESCOPE_CHECK(ErrorKind::kUsage, layer && *layer >= 0,
                      "--dense-layers: expected auto, none or layers such as 0,7, found '{}'",
                      text);
    layers.push_back(*layer);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

std::string to_string(Granularity granularity) {
  const auto found = std::find_if(kGranularities.begin(), kGranularities.end(),
                                  [&](const auto& entry) { return entry.second == granularity; });
  return std::string(found->first);
}

std::string to_string(const DeriveTarget& target) {
  const auto named = std::find_if(kTargets.begin(), kTargets.end(),
                                  [&](const auto& known) { return known.second == target.kind; });
  return fmt::format("{}={}", named->first, target.value);
}

}  // namespace sparsescope
