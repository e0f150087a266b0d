#include "derive/candidates.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "core/error.h"
#include "plan/bsa_window.h"

namespace sparsescope {
namespace {

constexpr int64_t kMostTopK = 64;     // of K; where there are more, they lie at equal ratios
constexpr int64_t kStepsBetween = 4;  // of kappa, from one measured value to the next

std::vector<Candidate> vsa_candidates(const Profile& profile) {
  const int64_t num_tiles = TileGrid(profile.grid, profile.tile).num_tiles();
  const int64_t least = kept_count(fraction_grid().front(), num_tiles);
  std::vector<Candidate> result;
  const auto add = [&](int64_t top_k) { result.push_back({VsaParams{.top_k = top_k}}); };
  if (num_tiles - least < kMostTopK) {
    for (int64_t top_k = least; top_k <= num_tiles; ++top_k) add(top_k);
    return result;
  }
  const double ratio = static_cast<double>(num_tiles) / static_cast<double>(least);
  int64_t last = 0;
  for (int64_t i = 0; i < kMostTopK; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(kMostTopK - 1);
    const double exact = static_cast<double>(least) * std::pow(ratio, share);
    const int64_t top_k = std::min(num_tiles, static_cast<int64_t>(std::ceil(exact)));
    if (top_k > last) add(top_k);
    last = top_k;
  }
  return result;
}

std::vector<Candidate> bsa_candidates(const Profile& profile) {
  const std::vector<double>& kappas = fraction_grid();
  std::vector<Candidate> result;
  for (const double query_keep : {0.5, 1.0}) {
    for (size_t i = 0; i < kappas.size(); ++i) {
      const int64_t steps = i + 1 < kappas.size() ? kStepsBetween : 1;
      for (int64_t step = 0; step < steps; ++step) {
        const double share = static_cast<double>(step) / static_cast<double>(kStepsBetween);
        BsaParams params{.query_keep = query_keep,
                         .window = default_bsa_window(profile.tile),
                         .kv_keep = kappas[i],
                         .min_blocks = 1};
        if (step > 0) params.kv_keep += share * (kappas[i + 1] - kappas[i]);
        result.push_back({params});
      }
    }
  }
  return result;
}

std::vector<Candidate> vmoba_candidates(const Profile& profile, bool all_heads) {
  std::vector<Candidate> result;
  int variant = 0;
  for (const Partition& partition : measured_partitions(profile)) {
    const int64_t blocks = partition_blocks(partition, profile.grid).num_tiles();
    VmobaParams params{.partition = partition, .select = VmobaSelect::kTopK};
    for (int64_t k = 1; k <= blocks; ++k) {
      params.top_k = k;
      result.push_back({params, variant});
    }
    params.select = VmobaSelect::kThreshold;
    params.top_k = 1;
    for (const VmobaPool pool :
         {VmobaPool::kQueryHead, VmobaPool::kHeadGlobal, VmobaPool::kBlock, VmobaPool::kOverall}) {
      if (!all_heads && (pool == VmobaPool::kBlock || pool == VmobaPool::kOverall)) continue;
      for (const double tau : tau_grid()) {
        params.pool = pool;
        params.threshold = tau;
        result.push_back({params, variant});
      }
    }
    ++variant;
  }
  return result;
}

}  // namespace

std::vector<Partition> measured_partitions(const Profile& profile) {
  constexpr std::string_view kLead = "vmoba/", kTail = "/recall_topk";
  std::vector<Partition> result;
  for (const auto& [name, array] : profile.arrays) {
    if (!name.starts_with(kLead) || !name.ends_with(kTail)) continue;
    const std::string_view text(name);
    result.push_back(
        parse_partition(text.substr(kLead.size(), text.size() - kLead.size() - kTail.size())));
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !result.empty(),
                    "profile: expected the statistics of at least one VMoBA partition");
  return result;
}

std::vector<Candidate> make_candidates(const Profile& profile, Method method, bool all_heads) {
  switch (method) {
    case Method::kVsa:
      return vsa_candidates(profile);
    case Method::kBsa:
      return bsa_candidates(profile);
    case Method::kVmoba:
      return vmoba_candidates(profile, all_heads);
    case Method::kDense:
      break;
  }
  fail(ErrorKind::kUsage, "derive: expected the method bsa, vsa or vmoba, found dense");
}

}  // namespace sparsescope
