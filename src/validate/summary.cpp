#include "validate/summary.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/error.h"
#include "stats/intervals.h"

namespace sparsescope {
namespace {

constexpr double kMillisecondsPerSecond = 1e3;

double median(std::vector<double> values) {
  SPARSESCOPE_ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

// Every prompt has as many sites and forwards, so that the mean over prompts is the mean over all.
// Student's t knows no bounds: the interval ends where the quantity does. It is unknown with one
// prompt, and where an error is infinite.
SummaryValue over_prompts(const std::string& name, const std::vector<double>& values,
                          double confidence) {
  SummaryValue result{.value = mean_of(values), .has_interval = true};
  if (values.size() < 2 || !std::isfinite(result.value)) return result;
  const Interval interval = mean_interval(values, confidence);
  const NaturalRange range = natural_range(name);
  result.low = std::max(interval.low, range.low);
  result.high = std::min(interval.high, range.high);
  return result;
}

double mean_over_sites(const PromptOutcome& prompt, double SiteResult::*member) {
  double sum = 0.0;
  for (const SiteResult& site : prompt.sites) sum += site.*member;
  return sum / static_cast<double>(prompt.sites.size());
}

double median_ms(const std::vector<AttentionTimes>& forwards,
                 const std::function<double(const AttentionTimes&)>& seconds) {
  std::vector<double> values;
  for (const AttentionTimes& times : forwards) {
    values.push_back(kMillisecondsPerSecond * seconds(times));
  }
  return median(values);
}

double dense_ms(const std::vector<AttentionTimes>& forwards) {
  return median_ms(forwards, [](const auto& times) { return times.dense_seconds; });
}

double speedup(const std::vector<AttentionTimes>& forwards) {
  return dense_ms(forwards) / median_ms(forwards, [](const auto& times) {
           return times.sparse_seconds + times.selection_seconds;
         });
}

std::vector<AttentionTimes> all_times(const std::vector<PromptOutcome>& prompts) {
  std::vector<AttentionTimes> times;
  for (const PromptOutcome& prompt : prompts) {
    times.insert(times.end(), prompt.times.begin(), prompt.times.end());
  }
  return times;
}

template <typename Item, typename Value>
std::vector<double> values_of_each(const std::vector<Item>& items, const Value& value) {
  std::vector<double> values;
  for (const Item& item : items) values.push_back(value(item));
  return values;
}

// unit: the layer or step of a site.
std::vector<RemovalResult> alone(const std::vector<PromptOutcome>& prompts,
                                 std::vector<double> PromptOutcome::*errors,
                                 int64_t SiteResult::*unit, double confidence) {
  std::vector<RemovalResult> results((prompts.front().*errors).size());
  std::vector<double> sites(results.size(), 0.0), density(results.size(), 0.0);
  for (const PromptOutcome& prompt : prompts) {
    for (const SiteResult& site : prompt.sites) {
      const auto at = static_cast<size_t>(site.*unit);
      if (at >= results.size()) continue;
      sites[at] += 1;
      density[at] += site.density;
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    RemovalResult& result = results[i];
    result.index = static_cast<int64_t>(i);
    result.density = density[i] / sites[i];
    result.of_prompt = values_of_each(prompts, [&](const auto& p) { return (p.*errors)[i]; });
    result.latent_rel_l2 = over_prompts("latent_rel_l2", result.of_prompt, confidence);
  }
  return results;
}

}  // namespace

std::vector<ClipResult> clips_of(const std::vector<PromptOutcome>& prompts) {
  std::vector<ClipResult> clips;
  for (const PromptOutcome& prompt : prompts) {
    ClipResult clip{.density = mean_over_sites(prompt, &SiteResult::density),
                    .recall = mean_over_sites(prompt, &SiteResult::recall),
                    .rel_l2 = mean_over_sites(prompt, &SiteResult::rel_l2),
                    .output_rel_l2 = mean_of(prompt.output_rel_l2),
                    .latent_rel_l2 = prompt.latent_rel_l2,
                    .psnr_latent = prompt.latent.psnr,
                    .ssim_latent = prompt.latent.ssim,
                    .psnr_pixel = {},
                    .ssim_pixel = {},
                    .speedup = speedup(prompt.times)};
    if (prompt.pixel) {
      clip.psnr_pixel = prompt.pixel->psnr;
      clip.ssim_pixel = prompt.pixel->ssim;
    }
    clips.push_back(clip);
  }
  return clips;
}

std::map<std::string, SummaryValue> summarize(const std::vector<PromptOutcome>& prompts,
                                              const std::vector<ClipResult>& clips,
                                              double confidence) {
  std::map<std::string, SummaryValue> summary;
  const auto add = [&](const std::string& name, const std::vector<double>& values) {
    summary[name] = over_prompts(name, values, confidence);
  };
  const auto add_sites = [&](const std::string& name, double SiteResult::*member) {
    add(name, values_of_each(prompts, [&](const auto& p) { return mean_over_sites(p, member); }));
  };
  const auto add_clips = [&](const std::string& name, double ClipResult::*member) {
    add(name, values_of_each(clips, [&](const ClipResult& clip) { return clip.*member; }));
  };
  add_clips("density", &ClipResult::density);
  add_clips("recall", &ClipResult::recall);
  add_sites("rel_l1", &SiteResult::rel_l1);
  add_clips("rel_l2", &ClipResult::rel_l2);
  add_sites("cosine", &SiteResult::cosine);
  add_clips("output_rel_l2", &ClipResult::output_rel_l2);
  add_clips("psnr_latent", &ClipResult::psnr_latent);
  add_clips("ssim_latent", &ClipResult::ssim_latent);
  if (clips.front().psnr_pixel) {
    add("psnr_pixel", values_of_each(clips, [](const auto& clip) { return *clip.psnr_pixel; }));
    add("ssim_pixel", values_of_each(clips, [](const auto& clip) { return *clip.ssim_pixel; }));
  }
  const std::vector<AttentionTimes> times = all_times(prompts);
  summary["time_dense_ms"].value = dense_ms(times);
  summary["time_sparse_ms"].value =
      median_ms(times, [](const auto& forward) { return forward.sparse_seconds; });
  summary["time_selection_ms"].value =
      median_ms(times, [](const auto& forward) { return forward.selection_seconds; });
  summary["speedup"].value = speedup(times);
  return summary;
}

RemovalReport removal_of(const std::vector<PromptOutcome>& prompts, double confidence) {
  return {.layers = alone(prompts, &PromptOutcome::layer_alone, &SiteResult::layer, confidence),
          .steps = alone(prompts, &PromptOutcome::step_alone, &SiteResult::step, confidence)};
}

}  // namespace sparsescope
