#include "derive/baseline_settings.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "derive/candidates.h"
#include "plan/bsa_window.h"
#include "plan/vmoba_schedule.h"

namespace sparsescope {
namespace {

constexpr double kKvKeepStep = 1e-4;
constexpr double kTauStep = 1e-4;
constexpr int64_t kPublishedMinBlocks = 4;
constexpr std::array<double, 3> kPublishedBlocks{7, 24, 72};  // 1D, 2D, 3D

int64_t blocks_of(const Partition& partition, const TokenGrid& grid) {
  return partition_blocks(partition, grid).num_tiles();
}

// One partition of each kind, by PartitionKind.
using Cycle = std::array<Partition, 3>;
using BlockCounts = std::array<int64_t, 3>;

BlockCounts blocks_of(const Cycle& cycle, const TokenGrid& grid) {
  BlockCounts counts{};
  for (size_t i = 0; i < cycle.size(); ++i) counts[i] = blocks_of(cycle[i], grid);
  return counts;
}

// How far the ratios 2D : 1D and 3D : 2D are from the published ones.
double distance(const BlockCounts& counts) {
  double sum = 0.0;
  for (size_t i = 1; i < counts.size(); ++i) {
    const double ratio = static_cast<double>(counts[i]) / static_cast<double>(counts[i - 1]);
    sum += std::abs(std::log(ratio * kPublishedBlocks[i - 1] / kPublishedBlocks[i]));
  }
  return sum;
}

Cycle published_cycle(const Profile& profile) {
  std::array<std::vector<Partition>, 3> of_kind;
  for (const Partition& partition : measured_partitions(profile)) {
    of_kind[static_cast<size_t>(partition.kind)].push_back(partition);
  }
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    std::none_of(of_kind.begin(), of_kind.end(),
                                 [](const auto& partitions) { return partitions.empty(); }),
                    "profile: expected measured partitions of the kinds temporal, spatial and st, "
                    "which the published cycle of VMoBA takes by turns, found {}, {} and {}",
                    of_kind[0].size(), of_kind[1].size(), of_kind[2].size());
  constexpr double kAsNear = 1e-9;
  Cycle best;
  double best_distance = std::numeric_limits<double>::infinity();
  int64_t most_blocks = 0;
  for (const Partition& temporal : of_kind[0]) {
    for (const Partition& spatial : of_kind[1]) {
      for (const Partition& st : of_kind[2]) {
        const Cycle cycle{temporal, spatial, st};
        const BlockCounts counts = blocks_of(cycle, profile.grid);
        const double far = distance(counts);
        const int64_t blocks = counts[0] + counts[1] + counts[2];
        const bool finer = far < best_distance + kAsNear && blocks > most_blocks;
        if (far > best_distance - kAsNear && !finer) continue;
        best = cycle;
        best_distance = far;
        most_blocks = blocks;
      }
    }
  }
  return best;
}

// Shares of the blocks at which the number kept of some partition, rounded to the nearest and one
// at least, grows.
std::vector<double> growing_shares(const BlockCounts& counts) {
  constexpr double kPast = 1e-9;
  std::vector<double> shares;
  for (const int64_t count : counts) {
    for (int64_t kept = 1; kept <= count; ++kept) {
      shares.push_back((static_cast<double>(kept) - 0.5) / static_cast<double>(count) + kPast);
    }
  }
  std::sort(shares.begin(), shares.end());
  return shares;
}

int64_t nearest_count(double share, int64_t blocks) {
  return std::clamp<int64_t>(std::llround(share * static_cast<double>(blocks)), 1, blocks);
}

std::string cycle_remark(const Cycle& cycle, const BlockCounts& counts) {
  return fmt::format(
      "VMoBA: {}, {} and {} by turns, layer by layer: of the measured partitions those whose "
      "numbers of blocks {}, {} and {} are nearest in ratio to the published 7, 24 and 72 (sum of "
      "the absolute logarithms of 2D over 1D and 3D over 2D against theirs; the finer of equals)",
      to_string(cycle[0]), to_string(cycle[1]), to_string(cycle[2]), counts[0], counts[1],
      counts[2]);
}

}  // namespace

BaselineSettings vsa_baseline(const Profile& profile, Baseline baseline) {
  TileChoice choice = TileChoice::kPooled;
  if (baseline == Baseline::kRandom) choice = TileChoice::kRandom;
  if (baseline == Baseline::kOracle) choice = TileChoice::kOracle;
  return {.curves = make_vsa_curves(profile, choice),
          .first = 1,
          .last = TileGrid(profile.grid, profile.tile).num_tiles(),
          .params = [choice](int64_t,
                             int64_t top_k) { return VsaParams{.top_k = top_k, .choice = choice}; },
          .remarks = {fmt::format("VSA: one top-k for all heads, the largest within the density; "
                                  "key tiles: {}; density is top-k over tiles, which on ragged "
                                  "grids takes large and small tiles as equally often chosen",
                                  to_string(choice))}};
}

BaselineSettings bsa_baseline(const Profile& profile) {
  const int64_t min_blocks =
      std::min(kPublishedMinBlocks, TileGrid(profile.grid, profile.tile).num_tiles());
  BsaParams params;  // as published
  params.window = default_bsa_window(profile.tile);
  params.min_blocks = min_blocks;
  // Below the least measured kappa nothing is known.
  return {.curves = make_bsa_curves(profile, min_blocks),
          .first = std::llround(std::ceil(fraction_grid().front() / kKvKeepStep)),
          .last = std::llround(1.0 / kKvKeepStep),
          .params =
              [params](int64_t, int64_t index) {
                BsaParams moved = params;
                moved.kv_keep = static_cast<double>(index) * kKvKeepStep;
                return moved;
              },
          .remarks = {fmt::format(
              "BSA: query_keep 0.5, windows of {} and min_blocks {} as published; kv_keep, one for "
              "all heads, is the largest within the density; measured with one block forced at "
              "least: with {}, lists are taken to hold no less than these, in density and recall, "
              "which is a little less than the truth where only some lists of a head fall short",
              to_string(params.window), min_blocks, min_blocks)}};
}

BaselineSettings vmoba_baseline(const Profile& profile, Baseline baseline) {
  const Cycle cycle = published_cycle(profile);
  const BlockCounts counts = blocks_of(cycle, profile.grid);
  BaselineSettings settings{.curves = make_vmoba_curves(profile, true),
                            .per = Granularity::kLayer,
                            .remarks = {cycle_remark(cycle, counts)}};
  const auto kind_of = [](int64_t layer) {
    return static_cast<size_t>(partition_kind(VmobaSchedule{}, layer));
  };
  if (baseline == Baseline::kPublishedThreshold || baseline == Baseline::kPublishedGlobal) {
    const VmobaPool pool =
        baseline == Baseline::kPublishedGlobal ? VmobaPool::kHeadGlobal : VmobaPool::kQueryHead;
    settings.first = std::llround(tau_grid().front() / kTauStep);
    settings.last = std::llround(tau_grid().back() / kTauStep);
    settings.params = [=](int64_t layer, int64_t index) {
      return VmobaParams{.partition = cycle[kind_of(layer)],
                         .select = VmobaSelect::kThreshold,
                         .threshold = static_cast<double>(index) * kTauStep,
                         .pool = pool};
    };
    settings.remarks.push_back(
        fmt::format("VMoBA: one threshold over the pool {} (published 0.25), the largest within "
                    "the density; linear between measured values",
                    to_string(pool)));
    return settings;
  }
  const std::vector<double> shares = growing_shares(counts);
  settings.last = std::ssize(shares) - 1;
  settings.params = [=](int64_t layer, int64_t index) {
    const size_t kind = kind_of(layer);
    return VmobaParams{.partition = cycle[kind],
                       .top_k = nearest_count(shares[static_cast<size_t>(index)], counts[kind])};
  };
  settings.remarks.push_back(
      "VMoBA: one share of the blocks of each partition, to the nearest block and one at least "
      "(published 1/4: 2 of 7, 6 of 24, 18 of 72), the largest within the density");
  return settings;
}

}  // namespace sparsescope
