#include "validate/report_clips.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "validate/report_numbers.h"

namespace sparsescope {
namespace {

constexpr int64_t kMaxIndex = int64_t{1} << 20;
constexpr const char* kMoved = "latent_rel_l2";

using ClipNumber = std::pair<const char*, double ClipResult::*>;
constexpr std::array kClipNumbers = {ClipNumber{"density", &ClipResult::density},
                                     ClipNumber{"recall", &ClipResult::recall},
                                     ClipNumber{"rel_l2", &ClipResult::rel_l2},
                                     ClipNumber{"output_rel_l2", &ClipResult::output_rel_l2},
                                     ClipNumber{kMoved, &ClipResult::latent_rel_l2},
                                     ClipNumber{"psnr_latent", &ClipResult::psnr_latent},
                                     ClipNumber{"ssim_latent", &ClipResult::ssim_latent},
                                     ClipNumber{"speedup", &ClipResult::speedup}};

ClipResult read_clip(const JsonPlace& place, int64_t prompt) {
  place.check_keys({"prompt", "density", "recall", "rel_l2", "output_rel_l2", kMoved, "psnr_latent",
                    "ssim_latent", "speedup"},
                   {"psnr_pixel", "ssim_pixel"});
  if (place.at("prompt").integer(0, kMaxIndex) != prompt) {
    place.at("prompt").fail_expected(fmt::format("{}: the prompts in order", prompt));
  }
  ClipResult clip;
  for (const auto& [name, member] : kClipNumbers) clip.*member = read_value(place.at(name), name);
  if (place.find("psnr_pixel") || place.find("ssim_pixel")) {
    clip.psnr_pixel = read_value(place.at("psnr_pixel"), "psnr_pixel");
    clip.ssim_pixel = read_value(place.at("ssim_pixel"), "ssim_pixel");
  }
  return clip;
}

Json units_to_json(const std::vector<RemovalResult>& units, const char* name) {
  Json list = Json::array();
  for (const RemovalResult& unit : units) {
    Json json = {{name, unit.index}, {"density", unit.density}, {"of_prompt", Json::array()}};
    put_summary_value(json, kMoved, unit.latent_rel_l2);
    for (const double value : unit.of_prompt) json["of_prompt"].push_back(finite(value));
    list.push_back(std::move(json));
  }
  return list;
}

std::vector<RemovalResult> read_units(const JsonPlace& place, const char* name, size_t prompts) {
  std::vector<RemovalResult> units;
  for (const JsonPlace& item : place.items()) {
    item.check_keys(
        {name, "density", "of_prompt", kMoved, "latent_rel_l2_low", "latent_rel_l2_high"});
    RemovalResult unit;
    unit.index = item.at(name).integer(0, kMaxIndex);
    if (unit.index != std::ssize(units)) {
      item.at(name).fail_expected(fmt::format("{}: every {} in order", units.size(), name));
    }
    unit.density = read_value(item.at("density"), "density");
    take_summary_value(item, kMoved, unit.latent_rel_l2);
    for (const JsonPlace& value : item.at("of_prompt").items(prompts)) {
      unit.of_prompt.push_back(read_value(value, kMoved));
    }
    units.push_back(std::move(unit));
  }
  if (units.empty()) place.fail_expected("at least one " + std::string(name));
  return units;
}

}  // namespace

Json clips_to_json(const std::vector<ClipResult>& clips) {
  Json list = Json::array();
  for (size_t prompt = 0; prompt < clips.size(); ++prompt) {
    const ClipResult& clip = clips[prompt];
    Json json = {{"prompt", prompt}};
    for (const auto& [name, member] : kClipNumbers) json[name] = finite(clip.*member);
    if (clip.psnr_pixel) json["psnr_pixel"] = *clip.psnr_pixel;
    if (clip.ssim_pixel) json["ssim_pixel"] = *clip.ssim_pixel;
    list.push_back(std::move(json));
  }
  return list;
}

std::vector<ClipResult> read_clips(const JsonPlace& place, size_t prompts) {
  std::vector<ClipResult> clips;
  for (const JsonPlace& item : place.items(prompts)) {
    clips.push_back(read_clip(item, std::ssize(clips)));
  }
  return clips;
}

Json removal_to_json(const RemovalReport& removal) {
  Json json = Json::object();
  if (!removal.layers.empty()) json["layers"] = units_to_json(removal.layers, "layer");
  if (!removal.steps.empty()) json["steps"] = units_to_json(removal.steps, "step");
  return json;
}

RemovalReport read_removal(const JsonPlace& place, size_t prompts) {
  place.check_keys({}, {"layers", "steps"});
  RemovalReport removal;
  if (const auto layers = place.find("layers")) {
    removal.layers = read_units(*layers, "layer", prompts);
  }
  if (const auto steps = place.find("steps")) {
    removal.steps = read_units(*steps, "step", prompts);
  }
  if (removal.empty()) place.fail_expected("layers or steps");
  return removal;
}

}  // namespace sparsescope
