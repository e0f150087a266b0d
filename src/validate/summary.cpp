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
SummaryValue over_prompts(const std::string& name, const std::vector<PromptOutcome>& prompts,
                          double confidence,
                          const std::function<double(const PromptOutcome&)>& value) {
  std::vector<double> values;
  for (const PromptOutcome& prompt : prompts) values.push_back(value(prompt));
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

double median_ms(const std::vector<PromptOutcome>& prompts,
                 const std::function<double(const AttentionTimes&)>& seconds) {
  std::vector<double> values;
  for (const PromptOutcome& prompt : prompts) {
    for (const AttentionTimes& times : prompt.times) {
      values.push_back(kMillisecondsPerSecond * seconds(times));
    }
  }
  return median(values);
}

}  // namespace

std::map<std::string, SummaryValue> summarize(const std::vector<PromptOutcome>& prompts,
                                              double confidence) {
  std::map<std::string, SummaryValue> summary;
  const auto add = [&](const std::string& name, auto value) {
    summary[name] = over_prompts(name, prompts, confidence, value);
  };
  const auto add_sites = [&](const std::string& name, double SiteResult::*member) {
    add(name, [member](const PromptOutcome& prompt) { return mean_over_sites(prompt, member); });
  };
  add_sites("density", &SiteResult::density);
  add_sites("recall", &SiteResult::recall);
  add_sites("rel_l1", &SiteResult::rel_l1);
  add_sites("rel_l2", &SiteResult::rel_l2);
  add_sites("cosine", &SiteResult::cosine);
  add("output_rel_l2", [](const PromptOutcome& prompt) { return mean_of(prompt.output_rel_l2); });
  add("psnr_latent", [](const PromptOutcome& prompt) { return prompt.latent.psnr; });
  add("ssim_latent", [](const PromptOutcome& prompt) { return prompt.latent.ssim; });
  if (prompts.front().pixel) {
    add("psnr_pixel", [](const PromptOutcome& prompt) { return prompt.pixel->psnr; });
    add("ssim_pixel", [](const PromptOutcome& prompt) { return prompt.pixel->ssim; });
  }
  const double dense = median_ms(prompts, [](const auto& times) { return times.dense_seconds; });
  summary["time_dense_ms"].value = dense;
  summary["time_sparse_ms"].value =
      median_ms(prompts, [](const auto& times) { return times.sparse_seconds; });
  summary["time_selection_ms"].value =
      median_ms(prompts, [](const auto& times) { return times.selection_seconds; });
  summary["speedup"].value = dense / median_ms(prompts, [](const auto& times) {
                               return times.sparse_seconds + times.selection_seconds;
                             });
  return summary;
}

}  // namespace sparsescope
