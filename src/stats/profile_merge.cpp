#include "stats/profile_merge.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/sha256.h"
#include "stats/kept_merge.h"
#include "stats/profile_schema.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

bool same_numbers(const std::vector<double>& left, const std::vector<double>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](double a, double b) {
    return a == b || (std::isnan(a) && std::isnan(b));  // captures carry no schedule
  });
}

// The block of prompt p goes to place_of[p] of count; the rest is `filling`.
template <typename T>
std::vector<T> spread(const std::vector<T>& values, const std::vector<int64_t>& place_of,
                      int64_t count, T filling) {
  const auto block = static_cast<int64_t>(values.size() / place_of.size());
  std::vector<T> result(static_cast<size_t>(count * block), filling);
  for (int64_t p = 0; p < std::ssize(place_of); ++p) {
    const int64_t place = place_of[static_cast<size_t>(p)];
    std::copy_n(values.begin() + p * block, block, result.begin() + place * block);
  }
  return result;
}

// Takes the values where there are none yet. The index of the first one that contradicts, or -1.
int64_t take_values(float* into, const float* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (std::isnan(from[i])) continue;
    if (std::isnan(into[i])) into[i] = from[i];
    if (std::bit_cast<uint32_t>(into[i]) != std::bit_cast<uint32_t>(from[i])) return i;
  }
  return -1;
}

// "prompt 0, branch 1, ..." of a flat index into an array with the leading axes.
std::string place_of_value(const std::vector<int64_t>& shape, int64_t index) {
  std::string text;
  for (size_t axis = shape.size(); axis-- > 0;) {
    const int64_t at = index % shape[axis];
    index /= shape[axis];
    if (axis >= kLeadingAxes.size()) continue;
    text = fmt::format("{} {}{}{}", kLeadingAxes[axis], at, text.empty() ? "" : ", ", text);
  }
  return text;
}

std::vector<Trajectory> joined_trajectories(const std::vector<Trajectory>& left,
                                            const std::vector<Trajectory>& right) {
  std::vector<Trajectory> all = left;
  all.insert(all.end(), right.begin(), right.end());
  // One trajectory may go by two names: the smaller one stays.
  std::sort(all.begin(), all.end(), [](const Trajectory& a, const Trajectory& b) {
    return a.id != b.id ? a.id < b.id : a.name < b.name;
  });
  const auto same = [](const Trajectory& a, const Trajectory& b) { return a.id == b.id; };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  return all;
}

std::vector<int64_t> places_among(const std::vector<Trajectory>& some,
                                  const std::vector<Trajectory>& all) {
  std::vector<int64_t> places;
  for (const Trajectory& trajectory : some) {
    const auto place =
        std::lower_bound(all.begin(), all.end(), trajectory,
                         [](const Trajectory& a, const Trajectory& b) { return a.id < b.id; });
    places.push_back(place - all.begin());
  }
  return places;
}

// Calls visit(map before, map after) for each site whose prompt moves.
template <typename Visit>
void for_each_map(const Profile& profile, const std::vector<int64_t>& place_of,
                  const Visit& visit) {
  for (int64_t p = 0; p < profile.prompts; ++p)
    for (int64_t b = 0; b < profile.branches; ++b)
      for (int64_t s = 0; s < profile.steps; ++s)
        for (int64_t l = 0; l < profile.layers; ++l)
          visit(map_name(p, b, s, l), map_name(place_of[static_cast<size_t>(p)], b, s, l));
}

KeptData moved_kept(Profile& profile, const std::vector<int64_t>& place_of) {
  if (profile.kept.empty()) return {};
  std::map<std::string, std::string> names;
  for_each_map(profile, place_of, [&](const std::string& before, const std::string& after) {
    names.emplace(before, after);
  });
  return move_prompts(std::move(profile.kept), place_of, names);
}

}  // namespace

void ProfileMerger::check_extents(const Profile& profile, const std::string& file) const {
  const auto check = [&](const char* place, const auto& expected, const auto& found) {
    SPARSESCOPE_CHECK(ErrorKind::kData, expected == found, "{}: {}: expected {} as in {}, found {}",
                      file, place, brief(Json(expected)), first_file_, brief(Json(found)));
  };
  const Profile& first = joined_;
  check("attribute grid", to_string(first.grid), to_string(profile.grid));
  check("attribute tile", to_string(first.tile), to_string(profile.tile));
  check("/branch", first.branches, profile.branches);
  check("/step", first.steps, profile.steps);
  check("/layer", first.layers, profile.layers);
  check("/head", first.heads, profile.heads);
  check("/rows", rows_of_full_tile(first), rows_of_full_tile(profile));
  check("/layer_name", first.layer_name, profile.layer_name);
  check("/expert", first.expert, profile.expert);
  if (!same_numbers(first.sigma, profile.sigma)) check("/sigma", first.sigma, profile.sigma);
  if (!same_numbers(first.timestep, profile.timestep)) {
    check("/timestep", first.timestep, profile.timestep);
  }
}

// Makes room for the prompts that are new.
void ProfileMerger::place_prompts(const std::vector<Trajectory>& trajectories) {
  std::vector<Trajectory> all = joined_trajectories(trajectories_, trajectories);
  const std::vector<int64_t> place_of = places_among(trajectories_, all);
  const bool moved =
      all.size() != trajectories_.size() || !std::is_sorted(place_of.begin(), place_of.end());
  trajectories_ = std::move(all);
  if (!moved) return;
  const int64_t count = std::ssize(trajectories_);
  for (auto& [name, array] : joined_.arrays) {
    array.values = spread(array.values, place_of, count, kMissing);
    array.shape.front() = count;
  }
  joined_.recorded = spread(joined_.recorded, place_of, count, uint8_t{0});
  std::map<std::string, std::vector<float>> maps;
  for_each_map(joined_, place_of, [&](const std::string& before, const std::string& after) {
    const auto map = joined_.maps.find(before);
    if (map != joined_.maps.end()) maps.emplace(after, std::move(map->second));
  });
  joined_.maps = std::move(maps);
  joined_.kept = moved_kept(joined_, place_of);
  joined_.prompts = count;
}

void ProfileMerger::join_array(const std::string& name, ProfileArray array,
                               const std::vector<int64_t>& prompt_of, const std::string& file) {
  const std::string dataset = dataset_of_array(name);
  std::vector<int64_t> shape = array.shape;
  shape.front() = joined_.prompts;
  const auto [place, is_new] = joined_.arrays.try_emplace(name);
  ProfileArray& target = place->second;
  if (is_new) {
    array.values = spread(array.values, prompt_of, joined_.prompts, kMissing);
    array.shape = shape;
    target = std::move(array);
    return;
  }
  const auto check = [&](const char* what, const auto& expected, const auto& found) {
    SPARSESCOPE_CHECK(ErrorKind::kData, expected == found,
                      "{}: {}: {}: expected {} as in the profiles before it, found {}", file,
                      dataset, what, brief(Json(expected)), brief(Json(found)));
  };
  check("axes", target.axes, array.axes);
  check("shape", target.shape, shape);
  check("unit", target.unit, array.unit);
  target.description = std::min(target.description, array.description);
  const int64_t block = std::ssize(array.values) / std::ssize(prompt_of);
  for (int64_t p = 0; p < std::ssize(prompt_of); ++p) {
    const float* from = array.values.data() + p * block;
    float* into = target.values.data() + prompt_of[static_cast<size_t>(p)] * block;
    const int64_t wrong = take_values(into, from, block);
    SPARSESCOPE_CHECK(ErrorKind::kData, wrong < 0,
                      "{}: {} at {}: expected {} as in the profiles before it, found {}", file,
                      dataset, place_of_value(array.shape, p * block + wrong), into[wrong],
                      from[wrong]);
  }
}

void ProfileMerger::join_maps(const Profile& profile, const std::vector<int64_t>& prompt_of,
                              const std::string& file) {
  for_each_map(profile, prompt_of, [&](const std::string& before, const std::string& after) {
    const auto map = profile.maps.find(before);
    if (map == profile.maps.end()) return;
    std::vector<float>& target = joined_.maps.try_emplace(after, map->second).first->second;
    const int64_t wrong = take_values(target.data(), map->second.data(), std::ssize(target));
    SPARSESCOPE_CHECK(ErrorKind::kData, wrong < 0,
                      "{}: /maps/{}: value {}: expected {} as in the profiles before it, found {}",
                      file, before, wrong, target[static_cast<size_t>(wrong)],
                      map->second[static_cast<size_t>(wrong)]);
  });
}

void ProfileMerger::add(Profile profile, const std::string& file, const std::string& sha256) {
  SPARSESCOPE_CHECK(ErrorKind::kData, profile.prompts > 0, "{}: /prompt: expected prompts", file);
  const std::vector<Trajectory> trajectories = read_trajectories(profile, file);
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    joined_trajectories(trajectories, {}).size() == trajectories.size(),
                    "{}: manifest: /trajectories: one stands twice", file);
  manifest_.add(profile.manifest, file, sha256);
  if (first_file_.empty()) {
    first_file_ = file;
    joined_ = std::move(profile);
    trajectories_ = trajectories;
    place_prompts({});
    return;
  }
  check_extents(profile, file);
  place_prompts(trajectories);
  const std::vector<int64_t> prompt_of = places_among(trajectories, trajectories_);
  const std::vector<uint8_t> recorded =
      spread(profile.recorded, prompt_of, joined_.prompts, uint8_t{0});
  for (size_t i = 0; i < recorded.size(); ++i) joined_.recorded[i] |= recorded[i];
  for (auto& [name, array] : profile.arrays) {
    join_array(name, std::move(array), prompt_of, file);
  }
  join_maps(profile, prompt_of, file);
  join_kept(joined_.kept, moved_kept(profile, prompt_of), file);
}

Profile ProfileMerger::take() {
  SPARSESCOPE_ASSERT(!first_file_.empty());
  joined_.manifest = manifest_.take(trajectories_);
  return std::move(joined_);
}

Profile merge_profiles(const std::vector<std::filesystem::path>& files) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, files.size() >= 2,
                    "merge: expected at least two profiles, found {}", files.size());
  ProfileMerger merger;
  for (const std::filesystem::path& file : files) {
    merger.add(read_profile(file), file.string(), sha256_file(file));
  }
  return merger.take();
}

}  // namespace sparsescope
