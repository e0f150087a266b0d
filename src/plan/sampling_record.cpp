#include "plan/sampling_record.h"

#include "plan/plan.h"

namespace sparsescope {
namespace {

constexpr double kMaxSetting = 1e6;  // of guidance and shift; both are of the order of 10

}  // namespace

Json sampling_record_to_json(const SamplingRecord& record) {
  Json json = {
      {"steps", record.steps},         {"guidance", record.guidance},
      {"scheduler", record.scheduler}, {"shift", record.shift},
      {"seed", record.seed},           {"grid", {record.grid.t, record.grid.h, record.grid.w}}};
  if (record.guidance_2) json["guidance_2"] = *record.guidance_2;
  return json;
}

SamplingRecord read_sampling_record(const JsonPlace& place) {
  place.check_keys({"steps", "guidance", "scheduler", "shift", "seed", "grid"}, {"guidance_2"});
  SamplingRecord record;
  record.steps = place.at("steps").integer(1, kMaxExtent);
  record.guidance = place.at("guidance").number(1, kMaxSetting);
  if (const auto second = place.find("guidance_2")) {
    record.guidance_2 = second->number(-kMaxSetting, kMaxSetting);
  }
  record.scheduler = place.at("scheduler").text();
  record.shift = place.at("shift").number(0, kMaxSetting);
  if (record.shift == 0) place.at("shift").fail_expected("a number above 0");
  record.seed = place.at("seed").seed();
  const auto [t, h, w] = place.at("grid").triple(1, kMaxExtent);
  record.grid = {t, h, w};
  return record;
}

}  // namespace sparsescope
