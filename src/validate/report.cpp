// The same rules stand in data/schema/report.schema.json.
#include "validate/report.h"

#include <algorithm>

#include "core/atomic_file.h"
#include "core/error.h"
#include "plan/json_place.h"
#include "validate/report_clips.h"
#include "validate/report_numbers.h"

namespace sparsescope {
namespace {

constexpr std::string_view kFormat = "sparsescope-report";
constexpr int64_t kVersion = 1;
constexpr int64_t kMaxIndex = int64_t{1} << 20;

Json site_to_json(const SiteResult& site) {
  return {{"prompt", site.prompt},
          {"branch", site.branch},
          {"step", site.step},
          {"layer", site.layer},
          {"head", site.head},
          {"density", site.density},
          {"recall", site.recall},
          {"rel_l1", finite(site.rel_l1)},
          {"rel_l2", finite(site.rel_l2)},
          {"cosine", site.cosine}};
}

SiteResult read_site(const JsonPlace& place, int64_t num_prompts) {
  place.check_keys({"prompt", "branch", "step", "layer", "head", "density", "recall", "rel_l1",
                    "rel_l2", "cosine"});
  const auto number = [&](const char* name) { return read_value(place.at(name), name); };
  SiteResult site;
  site.prompt = place.at("prompt").integer(0, num_prompts - 1);
  site.branch = place.at("branch").integer(0, 1);
  site.step = place.at("step").integer(0, kMaxIndex);
  site.layer = place.at("layer").integer(0, kMaxIndex);
  site.head = place.at("head").integer(0, kMaxIndex);
  site.density = number("density");
  site.recall = number("recall");
  site.rel_l1 = number("rel_l1");
  site.rel_l2 = number("rel_l2");
  site.cosine = number("cosine");
  return site;
}

RequirementResult read_requirement(const JsonPlace& place) {
  place.check_keys({"name", "comparison", "bound", "value", "holds"});
  const std::string comparison = place.at("comparison").text();
  if (comparison != ">=" && comparison != "<=") {
    place.at("comparison").fail_expected("\">=\" or \"<=\"");
  }
  RequirementResult result;
  result.requirement = {place.at("name").text(),
                        comparison == ">=" ? BoundKind::kAtLeast : BoundKind::kAtMost,
                        place.at("bound").number(-kInfiniteError, kInfiniteError)};
  const auto& names = summary_names();
  if (std::find(names.begin(), names.end(), result.requirement.name) == names.end()) {
    place.at("name").fail_expected("a number of the summary");
  }
  result.value = place.at("value").number(-kInfiniteError, kInfiniteError);
  result.holds = place.at("holds").boolean();
  if (result.holds != result.requirement.holds_for(result.value)) {
    place.at("holds").fail_expected("what value and bound say");
  }
  return result;
}

void read_summary(const JsonPlace& place, ValidationReport& report) {
  size_t known = 1;  // requirements
  for (const std::string& name : summary_names()) {
    if (!place.find(name)) {
      if (!name.ends_with("_pixel")) place.at(name);  // only pixels may be missing
      continue;
    }
    known += take_summary_value(place, name, report.summary[name]);
  }
  for (const JsonPlace& item : place.at("requirements").items()) {
    report.requirements.push_back(read_requirement(item));
  }
  if (place.value().size() != known) {
    place.fail_expected(
        "no keys besides the numbers of a summary, their intervals and requirements");
  }
}

}  // namespace

bool ValidationReport::holds() const {
  return std::all_of(requirements.begin(), requirements.end(),
                     [](const RequirementResult& result) { return result.holds; });
}

std::vector<RequirementResult> judge(const std::vector<Requirement>& requirements,
                                     const std::map<std::string, SummaryValue>& summary) {
  std::vector<RequirementResult> results;
  for (const Requirement& requirement : requirements) {
    const auto found = summary.find(requirement.name);
    SPARSESCOPE_ASSERT(found != summary.end());
    const double value = found->second.value;
    results.push_back({requirement, value, requirement.holds_for(value)});
  }
  return results;
}

Json summary_to_json(const ValidationReport& report) {
  Json json = Json::object();
  for (const std::string& name : summary_names()) {
    const auto found = report.summary.find(name);
    if (found == report.summary.end()) continue;
    put_summary_value(json, name, found->second);
  }
  json["requirements"] = Json::array();
  for (const RequirementResult& result : report.requirements) {
    json["requirements"].push_back({{"name", result.requirement.name},
                                    {"comparison", to_string(result.requirement.comparison)},
                                    {"bound", result.requirement.bound},
                                    {"value", finite(result.value)},
                                    {"holds", result.holds}});
  }
  return json;
}

Json report_to_json(const ValidationReport& report) {
  Json json = {{"format", kFormat},
               {"version", kVersion},
               {"plan", report.plan_hash},
               {"checkpoint", report.checkpoint_hash},
               {"prompts", report.prompts}};
  if (report.sampling) json["sampling"] = sampling_record_to_json(*report.sampling);
  json["summary"] = summary_to_json(report);
  if (!report.clips.empty()) json["clips"] = clips_to_json(report.clips);
  if (!report.removal.empty()) json["removal"] = removal_to_json(report.removal);
  json["sites"] = Json::array();
  for (const SiteResult& site : report.sites) json["sites"].push_back(site_to_json(site));
  return json;
}

ValidationReport report_from_json(const Json& json, const std::string& what) {
  const JsonPlace root(json, what);
  const JsonPlace format = root.at("format");
  if (format.text() != kFormat) format.fail_expected(fmt::format("\"{}\"", kFormat));
  const int64_t version = root.at("version").integer(0, INT64_MAX);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, version == kVersion,
                    "{}: report version {} is not supported here (version {} is)", what, version,
                    kVersion);
  root.check_keys({"format", "version", "plan", "checkpoint", "prompts", "summary", "sites"},
                  {"sampling", "clips", "removal"});
  ValidationReport report;
  report.plan_hash = root.at("plan").text();
  report.checkpoint_hash = root.at("checkpoint").text();
  for (const JsonPlace& prompt : root.at("prompts").items()) {
    report.prompts.push_back(prompt.text());
  }
  if (report.prompts.empty()) root.at("prompts").fail_expected("at least one prompt");
  if (const std::optional<JsonPlace> sampling = root.find("sampling")) {
    report.sampling = read_sampling_record(*sampling);
  }
  if (const std::optional<JsonPlace> clips = root.find("clips")) {
    report.clips = read_clips(*clips, report.prompts.size());
  }
  if (const std::optional<JsonPlace> removal = root.find("removal")) {
    report.removal = read_removal(*removal, report.prompts.size());
  }
  for (const JsonPlace& site : root.at("sites").items()) {
    report.sites.push_back(read_site(site, static_cast<int64_t>(report.prompts.size())));
  }
  read_summary(root.at("summary"), report);
  return report;
}

ValidationReport read_report(const std::filesystem::path& path) {
  return report_from_json(read_json_file(path), path.string());
}

std::string report_text(const ValidationReport& report) {
  return report_to_json(report).dump(1) + "\n";
}

void write_report(const std::filesystem::path& path, const ValidationReport& report, bool replace) {
  write_text_atomically(path, report_text(report), replace);
}

}  // namespace sparsescope
