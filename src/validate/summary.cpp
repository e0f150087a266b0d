#include "validate/summary.h"

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "derive/intervals.h"

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
SummaryValue over_prompts(const std::vector<PromptOutcome>& prompts, double confidence,
                          const std::function<double(const PromptOutcome&)>& value) {
  std::vector<double> values;
  for (const PromptOutcome& prompt : prompts) values.push_back(value(prompt));
  SummaryValue result{.value = mean_of(values), .has_interval = true};
  if (values.size() < 2) return result;
  const Interval interval = mean_interval(values, confidence);
  result.low = interval.low;
  result.high = interval.high;
  return result;
}

SummaryValue over_sites(const std::vector<PromptOutcome>& prompts, double confidence,
                        double SiteResult::*member) {
  return over_prompts(prompts, confidence, [&](const PromptOutcome& prompt) {
    double sum = 0.0;
    for (const SiteResult& site : prompt.sites) sum += site.*member;
    return sum / static_cast<double>(prompt.sites.size());
  });
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
  summary["density"] = over_sites(prompts, confidence, &SiteResult::density);
  summary["recall"] = over_sites(prompts, confidence, &SiteResult::recall);
  summary["rel_l1"] = over_sites(prompts, confidence, &SiteResult::rel_l1);
  summary["rel_l2"] = over_sites(prompts, confidence, &SiteResult::rel_l2);
  summary["cosine"] = over_sites(prompts, confidence, &SiteResult::cosine);
  summary["output_rel_l2"] = over_prompts(prompts, confidence, [](const PromptOutcome& prompt) {
    return mean_of(prompt.output_rel_l2);
  });
  const auto add_video = [&](const std::string& name, auto value) {
    summary[name] = over_prompts(prompts, confidence, value);
  };
  add_video("psnr_latent", [](const PromptOutcome& prompt) { return prompt.latent.psnr; });
  add_video("ssim_latent", [](const PromptOutcome& prompt) { return prompt.latent.ssim; });
  if (prompts.front().pixel) {
    add_video("psnr_pixel", [](const PromptOutcome& prompt) { return prompt.pixel->psnr; });
    add_video("ssim_pixel", [](const PromptOutcome& prompt) { return prompt.pixel->ssim; });
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
