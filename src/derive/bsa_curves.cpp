// BSA: density and recall against the kept fraction kappa of the Gaussian cut-off, from bsa_density
// and bsa_recall, linear between measured kappa; and the kept share of the queries from how many
// rows resemble the centre of their tile (query_cosine).
#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "derive/method_curves.h"
#include "plan/bsa_window.h"

namespace sparsescope {
namespace {

constexpr size_t kCosineBins = 64;  // over [-1, 1]
// A row counts as redundant from a cosine of 0.875 on: there its direction lies within half a unit
// of the centre's, |a - b| = sqrt(2 - 2 * 0.875) = 0.5. The value is an edge of the histogram.
constexpr double kRedundantCosine = 0.875;
constexpr auto kFirstRedundantBin = static_cast<size_t>((kRedundantCosine + 1.0) * kCosineBins / 2);
// Windows of 2 x 2 x 2 tokens keep whole eighths; the published setting keeps half.
constexpr std::array<double, 5> kQueryKeeps{0.5, 0.625, 0.75, 0.875, 1.0};
constexpr double kKvKeepStep = 1e-4;  // settings are rounded up to it

// Rows that the window quota keeps, over all rows: clipped windows round up.
double kept_query_share(const TileGrid& tiles, double query_keep, const TileShape& window) {
  constexpr double kRounding = 1e-9;  // 0.625 * 8 must not become 6
  int64_t kept = 0;
  for (int64_t tile = 0; tile < tiles.num_tiles(); ++tile) {
    const Box box = tiles.box(tile);
    const TileGrid windows({box.t, box.h, box.w}, window);
    for (int64_t i = 0; i < windows.num_tiles(); ++i) {
      const auto rows = static_cast<double>(windows.size(i));
      kept += static_cast<int64_t>(std::ceil(rows * query_keep - kRounding));
    }
  }
  return static_cast<double>(kept) / static_cast<double>(tiles.grid().tokens());
}

class BsaCurves : public MethodCurves {
 public:
  BsaCurves(const Profile& profile, int64_t min_blocks)
      : profile_(profile), min_blocks_(min_blocks), window_(default_bsa_window(profile.tile)) {
    for (const char* name : {"bsa_density", "bsa_recall", "query_cosine"}) {
      SPARSESCOPE_CHECK(ErrorKind::kData, profile.arrays.contains(name),
                        "profile: expected the statistic {}, which BSA needs", name);
    }
    const TileGrid tiles(profile.grid, profile.tile);
    if (min_blocks > 1) {
      best_tiles_ = make_vsa_curves(profile);
      SPARSESCOPE_ASSERT(min_blocks <= tiles.num_tiles());
    }
    for (size_t i = 0; i < kQueryKeeps.size(); ++i) {
      query_share_[i] = kept_query_share(tiles, kQueryKeeps[i], window_);
    }
  }

  // density [kappa], recall [kappa], share of redundant rows
  size_t sample_size() const override { return 2 * kappas() + 1; }

  void read_sample(const ProfileSite& site, std::span<double> sample) const override {
    const auto density = site_values(profile_, "bsa_density", site, kappas());
    const auto recall = site_values(profile_, "bsa_recall", site, kappas());
    const auto cosines = site_values(profile_, "query_cosine", site, kCosineBins);
    const double text = text_mass(profile_, site);
    for (size_t i = 0; i < kappas(); ++i) {
      sample[i] = density[i];
      sample[kappas() + i] = std::min(1.0, text + static_cast<double>(recall[i]));
    }
    if (best_tiles_) raise_to_best_tiles(site, sample);
    double rows = 0.0;
    double redundant = 0.0;
    for (size_t bin = 0; bin < kCosineBins; ++bin) {
      rows += cosines[bin];
      if (bin >= kFirstRedundantBin) redundant += cosines[bin];
    }
    sample[2 * kappas()] = rows > 0.0 ? redundant / rows : 0.0;
  }

  Setting cheapest(std::span<const double> sample, double recall, int,
                   const SettingCosts&) const override {
    const double exact =
        first_reaching(fraction_grid(), sample.subspan(kappas(), kappas()), recall - kRecallSlack);
    BsaParams params;
    params.window = window_;
    params.query_keep = kQueryKeeps[query_keep_index(sample[2 * kappas()])];
    params.kv_keep = std::min(1.0, std::ceil(exact / kKvKeepStep) * kKvKeepStep);
    params.min_blocks = min_blocks_;
    const OperatingPoint point = evaluate(sample, params);
    return {params, point, point.recall >= recall - kRecallSlack};
  }

  OperatingPoint evaluate(std::span<const double> sample,
                          const MethodParams& params) const override {
    const auto& bsa = std::get<BsaParams>(params);
    const auto keep = std::find(kQueryKeeps.begin(), kQueryKeeps.end(), bsa.query_keep);
    SPARSESCOPE_ASSERT(keep != kQueryKeeps.end());
    const double share = query_share_[static_cast<size_t>(keep - kQueryKeeps.begin())];
    return {share * interpolate(fraction_grid(), sample.first(kappas()), bsa.kv_keep),
            interpolate(fraction_grid(), sample.subspan(kappas(), kappas()), bsa.kv_keep)};
  }

  std::vector<std::string> remarks() const override {
    return {
        "BSA: least kv_keep whose bsa_recall, linear between measured values, reaches the "
        "recall; measured with all queries of a tile pooled and one block forced at least",
        fmt::format("BSA: query_keep is the least of 0.5, 0.625, 0.75, 0.875 and 1 that prunes "
                    "no more than the share of rows whose cosine to their tile's centre is at "
                    "least {}; density counts kept queries",
                    kRedundantCosine)};
  }

 private:
  static size_t kappas() { return fraction_grid().size(); }

  static size_t query_keep_index(double redundant_share) {
    const auto keep = std::find_if(kQueryKeeps.begin(), kQueryKeeps.end(),
                                   [&](double kept) { return 1.0 - kept <= redundant_share; });
    return static_cast<size_t>(keep - kQueryKeeps.begin());
  }

  // A list holds the min_blocks best tiles at least: no less density than theirs, and no less
  // recall. Where some lists of a site are raised to it and others hold more, the truth is a little
  // above both.
  void raise_to_best_tiles(const ProfileSite& site, std::span<double> sample) const {
    std::vector<double> curve(best_tiles_->sample_size());
    best_tiles_->read_sample(site, curve);
    const OperatingPoint least = best_tiles_->evaluate(curve, VsaParams{.top_k = min_blocks_});
    for (size_t i = 0; i < kappas(); ++i) {
      sample[i] = std::max(sample[i], least.density);
      sample[kappas() + i] = std::max(sample[kappas() + i], least.recall);
    }
  }

  const Profile& profile_;
  int64_t min_blocks_;  // 1 as in the measured statistics, so that they foretell the plan
  std::unique_ptr<MethodCurves> best_tiles_;  // where there are more
  TileShape window_;
  std::array<double, kQueryKeeps.size()> query_share_{};
};

}  // namespace

std::unique_ptr<MethodCurves> make_bsa_curves(const Profile& profile, int64_t min_blocks) {
  return std::make_unique<BsaCurves>(profile, min_blocks);
}

}  // namespace sparsescope
