#include "stats/trajectory_id.h"

#include <algorithm>

#include "core/error.h"

namespace sparsescope {
namespace {

class Reader {
 public:
  Reader(const Profile& profile, const std::string& file)
      : profile_(profile), manifest_(profile.manifest), file_(file) {}

  std::vector<Trajectory> read() const {
    const Json latents = manifest_.value("latents", Json());
    const uint64_t seed = latents.is_array() ? 0 : unsigned_of(manifest_, "", "seed");
    const auto names = texts("prompts"), hashes = texts("prompt_hashes");
    const auto unconditional = texts("unconditional_hashes");
    const auto noise = latents.is_array() ? texts("latents") : texts("");
    std::vector<Trajectory> trajectories;
    for (size_t i = 0; i < names.size(); ++i) {
      const TrajectoryId id{seed, static_cast<int64_t>(i), noise[i], hashes[i], unconditional[i]};
      trajectories.push_back({id, names[i]});
    }
    if (manifest_.contains("trajectories")) read_origins(trajectories);
    return trajectories;
  }

 private:
  void require(bool condition, const std::string& place, const std::string& expected) const {
    SPARSESCOPE_CHECK(ErrorKind::kData, condition, "{}: manifest: {}: expected {}", file_, place,
                      expected);
  }

  // [prompts] empty texts where the manifest holds no such list, or an empty one.
  std::vector<std::string> texts(const std::string& key) const {
    std::vector<std::string> result(static_cast<size_t>(profile_.prompts));
    const Json list = manifest_.value(key, Json::array());
    if (list.is_array() && list.empty()) return result;
    const auto is_text = [](const Json& item) { return item.is_string(); };
    require(list.is_array() && list.size() == result.size() &&
                std::all_of(list.begin(), list.end(), is_text),
            "/" + key, fmt::format("{} texts", result.size()));
    std::copy(list.begin(), list.end(), result.begin());
    return result;
  }

  // 0 where there is none: profiles of captured tensors name no seed.
  uint64_t unsigned_of(const Json& object, const std::string& place, const char* key) const {
    if (!object.contains(key)) return 0;
    require(object[key].is_number_integer() && object[key] >= 0, place + "/" + key,
            "a number of at least 0");
    return object[key].get<uint64_t>();
  }

  void read_origins(std::vector<Trajectory>& trajectories) const {
    const Json& origins = manifest_["trajectories"];
    require(origins.is_array() && origins.size() == trajectories.size(), "/trajectories",
            fmt::format("{} objects", trajectories.size()));
    for (size_t i = 0; i < trajectories.size(); ++i) {
      const std::string place = fmt::format("/trajectories/{}", i);
      require(origins[i].is_object() && origins[i].value("latents", Json("")).is_string(), place,
              "an object with index, and seed or latents");
      TrajectoryId& id = trajectories[i].id;
      id.seed = unsigned_of(origins[i], place, "seed");
      id.index = static_cast<int64_t>(unsigned_of(origins[i], place, "index"));
      id.latents = origins[i].value("latents", "");
    }
  }

  const Profile& profile_;
  const Json& manifest_;
  const std::string& file_;
};

// The list, or nothing where no trajectory has such a text.
void add_texts(Json& json, const char* key, const std::vector<Trajectory>& trajectories,
               const std::string& (*text_of)(const Trajectory&)) {
  Json texts = Json::array();
  bool any = false;
  for (const Trajectory& trajectory : trajectories) {
    texts.push_back(text_of(trajectory));
    any = any || !text_of(trajectory).empty();
  }
  if (any) json[key] = texts;
}

}  // namespace

std::vector<Trajectory> read_trajectories(const Profile& profile, const std::string& file) {
  SPARSESCOPE_CHECK(ErrorKind::kData, profile.manifest.is_object(),
                    "{}: manifest: expected an object", file);
  return Reader(profile, file).read();
}

Json trajectories_to_json(const std::vector<Trajectory>& trajectories) {
  Json json = {{"prompts", Json::array()}};
  using Text = const std::string&;
  add_texts(json, "prompts", trajectories, [](const Trajectory& t) -> Text { return t.name; });
  add_texts(json, "prompt_hashes", trajectories,
            [](const Trajectory& t) -> Text { return t.id.prompt; });
  add_texts(json, "unconditional_hashes", trajectories,
            [](const Trajectory& t) -> Text { return t.id.unconditional; });
  Json origins = Json::array();
  for (const auto& [id, name] : trajectories) {
    Json origin = {{"index", id.index}};
    if (id.latents.empty()) {
      origin["seed"] = id.seed;
    } else {
      origin["latents"] = id.latents;
    }
    origins.push_back(origin);
  }
  json["trajectories"] = origins;
  return json;
}

const std::vector<std::string>& trajectory_keys() {
  static const std::vector<std::string> keys = {"prompts", "prompt_hashes", "unconditional_hashes",
                                                "latents", "trajectories"};
  return keys;
}

}  // namespace sparsescope
