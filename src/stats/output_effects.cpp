#include "stats/output_effects.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <optional>
#include <span>

#include "capture/dense_hook.h"
#include "core/error.h"
#include "core/rng.h"
#include "effects/effect_arrays.h"
#include "effects/site_recorder.h"
#include "sparse/sparse_executor.h"

namespace sparsescope {
namespace {

// Keeps the probes' random numbers apart from other users of the same seed.
constexpr uint64_t kProbeKey = 0x70726f6265ull;  // "probe"

HostTensor draw_probe(const std::vector<int64_t>& shape, uint64_t key) {
  HostTensor probe = HostTensor::zeros(shape);
  for (size_t i = 0; i < probe.values.size(); ++i) {
    probe.values[i] = static_cast<float>(normal(key, i));
  }
  return probe;
}

double norm_of(const HostTensor& x) {
  return std::sqrt(std::inner_product(x.values.begin(), x.values.end(), x.values.begin(), 0.0));
}

HostTensor difference_of(HostTensor a, const HostTensor& b) {
  std::transform(a.values.begin(), a.values.end(), b.values.begin(), a.values.begin(),
                 std::minus<>());
  return a;
}

SiteStatistics& site_of(const SiteKey& key, std::vector<SiteStatistics>& sites) {
  const auto found = std::find_if(sites.begin(), sites.end(), [&](const SiteStatistics& site) {
    return site.site.branch == key.branch && site.site.layer == key.layer;
  });
  return found != sites.end() ? *found : sites.emplace_back(SiteStatistics{.site = key});
}

}  // namespace

OutputEffects::OutputEffects(const Denoiser& denoiser, const PromptSet& prompts,
                             const OutputEffectOptions& options, Impl impl, ThreadPool& pool)
    : denoiser_(denoiser),
      prompts_(prompts),
      options_(options),
      impl_(impl),
      pool_(pool),
      hook_(options.plan, options.tile, options.partitions, impl, pool) {}

void OutputEffects::add_to(const TrajectoryState& state, int64_t prompt,
                           std::vector<SiteStatistics>& sites) {
  add_branch(state, prompt, Branch::kConditional, sites);
  if (denoiser_.guided()) add_branch(state, prompt, Branch::kUnconditional, sites);
}

void OutputEffects::add_branch(const TrajectoryState& state, int64_t prompt, Branch branch,
                               std::vector<SiteStatistics>& sites) {
  DenseHook dense(impl_, pool_);
  std::optional<SparseHook> sparse;
  HostTensor reference;  // y; the pull-back's own output where no plan is in force
  OutputDirections meaning{.probes = options_.probes, .has_residual = options_.plan != nullptr};
  if (options_.plan != nullptr) {
    sparse.emplace(*options_.plan, impl_, pool_);
    reference = denoiser_.predict(state, prompts_, prompt, branch, dense);
  }
  const SiteKey site{.prompt = prompt, .branch = branch, .step = state.next_step};
  const int64_t num_tiles = TileGrid(denoiser_.token_grid(), options_.tile).num_tiles();
  EffectRows rows{error_tiles_of(site, num_tiles, options_.error_tiles, options_.seed), {}};
  rows.change_tiles.resize(num_tiles);
  std::iota(rows.change_tiles.begin(), rows.change_tiles.end(), 0);
  hook_.expect(meaning.probes + (meaning.has_residual ? 1 : 0), std::move(rows));

  uint64_t key = combine_key(options_.seed, kProbeKey);
  for (const int64_t part : {prompt, static_cast<int64_t>(branch), state.next_step}) {
    key = combine_key(key, static_cast<uint64_t>(part));
  }
  AttentionHook& forward = sparse ? static_cast<AttentionHook&>(*sparse) : dense;
  denoiser_.pull_back(state, prompts_, prompt, branch, forward, hook_,
                      [&](const HostTensor& output) {
                        std::vector<HostTensor> directions;
                        for (int64_t j = 0; j < options_.probes; ++j) {
                          directions.push_back(
                              draw_probe(output.shape, combine_key(key, static_cast<uint64_t>(j))));
                        }
                        meaning.output_norm = norm_of(meaning.has_residual ? reference : output);
                        if (meaning.has_residual) {
                          directions.push_back(difference_of(output, reference));
                          const double error = norm_of(directions.back()) / meaning.output_norm;
                          meaning.loss = error * error;
                        }
                        return directions;
                      });
  for (const SiteEffects& found : hook_.take()) {
    std::vector<StatArray> arrays = effect_arrays(found.heads, options_.partitions, meaning);
    SiteStatistics& target = site_of(found.site, sites);
    std::move(arrays.begin(), arrays.end(), std::back_inserter(target.arrays));
  }
}

namespace {

std::vector<int64_t> spread_steps(std::span<const int64_t> steps, int64_t count, int64_t prompt) {
  const int64_t all = std::ssize(steps);
  // Multiples of the golden ratio fall evenly into the unit interval, however many there are.
  constexpr double kGolden = 0.6180339887498949;
  const double shift = std::fmod(static_cast<double>(prompt) * kGolden, 1.0);
  std::vector<int64_t> result;
  for (int64_t i = 0; i < count; ++i) {
    const double place =
        (static_cast<double>(i) + shift) * static_cast<double>(all) / static_cast<double>(count);
    result.push_back(steps[static_cast<size_t>(std::min(all - 1, static_cast<int64_t>(place)))]);
  }
  return result;
}

}  // namespace

std::vector<int64_t> effect_steps(const std::vector<int64_t>& steps,
                                  const std::vector<int64_t>& experts, int64_t count,
                                  int64_t prompt) {
  const int64_t all = std::ssize(steps);
  count = std::min(count, all);
  const int64_t high =
      experts.empty() ? all : std::count_if(steps.begin(), steps.end(), [&](int64_t step) {
        return experts[static_cast<size_t>(step)] == kHighNoise;
      });
  const int64_t low = all - high;
  if (high == 0 || low == 0 || count == 0) return spread_steps(steps, count, prompt);
  int64_t of_high = 1 - prompt % 2;
  if (count > 1) {
    const auto share = static_cast<double>(count * high) / static_cast<double>(all);
    of_high = std::clamp<int64_t>(std::llround(share), std::max<int64_t>(1, count - low),
                                  std::min(high, count - 1));
  }
  // Noise falls from step to step: those of the high-noise expert come first.
  const auto split = static_cast<size_t>(high);
  std::vector<int64_t> result = spread_steps(std::span(steps).first(split), of_high, prompt);
  const std::vector<int64_t> rest =
      spread_steps(std::span(steps).subspan(split), count - of_high, prompt);
  result.insert(result.end(), rest.begin(), rest.end());
  return result;
}

}  // namespace sparsescope
