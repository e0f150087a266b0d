// VMoBA: density and recall of every measured setting: for each partition all top-k, and all tau of
// each pool. Nothing is interpolated where settings are chosen: a plan uses what was measured. A
// given tau between two of these is evaluated between theirs.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "derive/candidates.h"
#include "derive/method_curves.h"
#include "derive/setting_costs.h"

namespace sparsescope {
namespace {

// The order of the pool axis in the profile.
constexpr VmobaPool kPools[] = {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock,
                                VmobaPool::kOverall};
constexpr size_t kNumPools = std::size(kPools);

struct MeasuredPartition {
  Partition partition;
  std::string prefix;  // "vmoba/temporal:2/"
  size_t num_k = 0;    // top-k settings: 1 .. blocks
  size_t first = 0;    // of its densities in a sample; its recalls follow
  size_t settings() const { return num_k + kNumPools * tau_grid().size(); }
};

class VmobaCurves : public MethodCurves {
 public:
  VmobaCurves(const Profile& profile, bool all_heads)
      : profile_(profile), num_pools_(all_heads ? kNumPools : 2) {
    for (const Partition& partition : measured_partitions(profile)) {
      MeasuredPartition measured;
      measured.partition = partition;
      measured.prefix = fmt::format("vmoba/{}/", to_string(partition));
      measured.num_k = static_cast<size_t>(profile.trailing(measured.prefix + "recall_topk"));
      measured.first = sample_size_;
      sample_size_ += 2 * measured.settings();
      partitions_.push_back(measured);
    }
  }

  size_t sample_size() const override { return sample_size_; }
  int num_variants() const override { return static_cast<int>(partitions_.size()); }

  void read_sample(const ProfileSite& site, std::span<double> sample) const override {
    const double text = text_mass(profile_, site);
    for (const MeasuredPartition& measured : partitions_) {
      double* density = sample.data() + measured.first;
      double* recall = density + measured.settings();
      const size_t num_tau = kNumPools * tau_grid().size();
      const auto copy = [&](const char* name, size_t count, double* to, double add) {
        for (const float value : site_values(profile_, measured.prefix + name, site, count)) {
          *to++ = std::min(1.0, add + static_cast<double>(value));
        }
      };
      copy("density_topk", measured.num_k, density, 0.0);
      copy("density_tau", num_tau, density + measured.num_k, 0.0);
      copy("recall_topk", measured.num_k, recall, text);
      copy("recall_tau", num_tau, recall + measured.num_k, text);
    }
  }

  Setting cheapest(std::span<const double> sample, double recall, int variant,
                   const SettingCosts& costs) const override {
    const MeasuredPartition& measured = partitions_[static_cast<size_t>(variant)];
    size_t best = 0;
    Rank best_rank;
    const size_t usable = measured.num_k + num_pools_ * tau_grid().size();
    for (size_t i = 0; i < usable; ++i) {
      const Rank rank = rank_of(sample, measured, i, recall, costs);
      if (i > 0 && !rank.before(best_rank)) continue;
      best = i;
      best_rank = rank;
    }
    const bool best_reaches = best_rank.reaches;
    return {params_of(measured, best), point_of(sample, measured, best), best_reaches};
  }

  OperatingPoint evaluate(std::span<const double> sample,
                          const MethodParams& params) const override {
    const auto& vmoba = std::get<VmobaParams>(params);
    const auto measured = std::find_if(
        partitions_.begin(), partitions_.end(),
        [&](const MeasuredPartition& one) { return one.partition == vmoba.partition; });
    SPARSESCOPE_ASSERT(measured != partitions_.end());
    if (vmoba.select == VmobaSelect::kTopK) {
      return point_of(sample, *measured, static_cast<size_t>(vmoba.top_k) - 1);
    }
    const auto pool = std::find(kPools, kPools + kNumPools, vmoba.pool) - kPools;
    const size_t first =
        measured->first + measured->num_k + static_cast<size_t>(pool) * tau_grid().size();
    const auto at_tau = [&](size_t from) {
      return interpolate(tau_grid(), sample.subspan(from, tau_grid().size()), vmoba.threshold);
    };
    return {at_tau(first), at_tau(first + measured->settings())};
  }

  std::vector<std::string> remarks() const override {
    std::vector<std::string> names;
    for (const MeasuredPartition& measured : partitions_) {
      names.push_back(to_string(measured.partition));
    }
    return {
        fmt::format("VMoBA: among all measured settings (top-k; tau of the pools query_head, "
                    "head_global{}) of the partitions {}, the one of least density that "
                    "reaches the recall; one partition a layer",
                    num_pools_ == kNumPools ? ", block, overall" : "", fmt::join(names, ", "))};
  }

 private:
  struct Rank {
    bool reaches = false, pays = false;
    double recall = 0.0, cost = 0.0;
    bool before(const Rank& other) const {
      if (reaches != other.reaches) return reaches;
      if (!reaches) return recall > other.recall;
      return pays != other.pays ? pays : cost < other.cost;
    }
  };

  static Rank rank_of(std::span<const double> sample, const MeasuredPartition& measured,
                      size_t setting, double recall, const SettingCosts& costs) {
    const OperatingPoint point = point_of(sample, measured, setting);
    const MethodParams params = params_of(measured, setting);
    return {point.recall >= recall - kRecallSlack, costs.pays(params, point.density), point.recall,
            costs.of(params, point.density)};
  }

  static OperatingPoint point_of(std::span<const double> sample, const MeasuredPartition& measured,
                                 size_t setting) {
    return {sample[measured.first + setting],
            sample[measured.first + measured.settings() + setting]};
  }

  static VmobaParams params_of(const MeasuredPartition& measured, size_t setting) {
    VmobaParams params;
    params.partition = measured.partition;
    if (setting < measured.num_k) {
      params.select = VmobaSelect::kTopK;
      params.top_k = static_cast<int64_t>(setting) + 1;
      return params;
    }
    const size_t at = setting - measured.num_k;
    params.select = VmobaSelect::kThreshold;
    params.threshold = tau_grid()[at % tau_grid().size()];
    params.pool = kPools[at / tau_grid().size()];
    return params;
  }

  const Profile& profile_;
  size_t num_pools_;  // pools across heads only where one setting holds for all heads
  size_t sample_size_ = 0;
  std::vector<MeasuredPartition> partitions_;
};

}  // namespace

std::unique_ptr<MethodCurves> make_vmoba_curves(const Profile& profile, bool all_heads) {
  return std::make_unique<VmobaCurves>(profile, all_heads);
}

}  // namespace sparsescope
