// From a profile to a plan: settings of one sparse method that reach a target recall, do least to
// the model's output at a target density or speed-up, or keep a target error of the output; and
// what they are expected to do on a new prompt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/kernel_costs.h"
#include "plan/plan.h"
#include "stats/profile.h"

namespace sparsescope {

enum class TargetKind {
  kRecall,
  kDensity,
  kError,
  kSpeedup,  // of attention, selection included; needs kernel costs
};

struct DeriveTarget {
  TargetKind kind = TargetKind::kRecall;
  double value = 0.95;
};

// What a budget is spent by: effects on the model's output where the profile holds them, else a
// common recall.
enum class Weighing { kAuto, kEffect, kRecall };

// What shares one setting.
enum class Granularity { kModel, kLayer, kHead, kHeadStep };
// Whether all heads of a layer do.
constexpr bool shares_heads(Granularity per) {
  return per == Granularity::kModel || per == Granularity::kLayer;
}

struct DeriveOptions {
  Method method = Method::kVsa;
  DeriveTarget target;
  Granularity per = Granularity::kLayer;
  Weighing weighing = Weighing::kAuto;
  // Where effects are read: the profile itself where null. Another one of the same shape may have
  // measured them around an earlier plan.
  const Profile* effects = nullptr;
  // Measured times of settings. With them predicted time is spent, and settings that do not beat
  // dense attention are not taken; null: density is spent.
  const KernelCosts* costs = nullptr;
  double confidence = 0.95;
  std::optional<int64_t> dense_first_steps;          // empty: found from the data
  std::optional<std::vector<int64_t>> dense_layers;  // ascending; empty: found from the data
  Json source = Json::object();  // merged into the evidence: profile file and hash, command line
};

// Error(kUsage) for what cannot be met, Error(kData) where the profile lacks what the method needs.
Plan derive_plan(const Profile& profile, const DeriveOptions& options);

// "recall=0.95", "density=0.15", "error=0.05" or "speedup=1.8".
DeriveTarget parse_target(std::string_view text);
Weighing parse_weighing(std::string_view text);        // "auto", "effect", "recall"
Granularity parse_granularity(std::string_view text);  // "model", "layer", "head", "head-step"
Method parse_sparse_method(std::string_view text);     // "bsa", "vsa", "vmoba"
std::optional<int64_t> parse_dense_first_steps(std::string_view text);  // "auto" or N
std::optional<std::vector<int64_t>> parse_dense_layers(
    std::string_view text);  // "auto", "none", "0,7"
std::string to_string(Granularity granularity);
std::string to_string(const DeriveTarget& target);

}  // namespace sparsescope
