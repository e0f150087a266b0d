#include "stats/kept_store.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/tensor_view.h"
#include "stats/grouped_datasets.h"
#include "stats/profile_store.h"

namespace sparsescope {
namespace {

const std::vector<std::string> kCallAxes = {"head", "token", "channel"};
constexpr const char* kCallTexts[] = {"queries after norm and rotary embedding",
                                      "keys after norm and rotary embedding", "values"};

// [kept heads, ...] -> [heads, ...], NaN where a head is not kept; and back.
std::vector<float> with_all_heads(std::vector<float> kept, const std::vector<int64_t>& heads,
                                  int64_t count) {
  if (std::ssize(heads) == count) return kept;
  const int64_t block = std::ssize(kept) / std::ssize(heads);
  std::vector<float> all(static_cast<size_t>(block * count),
                         std::numeric_limits<float>::quiet_NaN());
  for (size_t i = 0; i < heads.size(); ++i) {
    std::copy_n(kept.begin() + static_cast<std::ptrdiff_t>(i) * block, block,
                all.begin() + heads[i] * block);
  }
  return all;
}

std::vector<float> only_heads(std::vector<float> all, const std::vector<int64_t>& heads,
                              int64_t count) {
  const int64_t block = std::ssize(all) / count;
  for (size_t i = 0; i < heads.size(); ++i) {  // heads ascend: nothing is overwritten too early
    const auto from = all.begin() + heads[i] * block;
    std::copy(from, from + block, all.begin() + static_cast<std::ptrdiff_t>(i) * block);
  }
  all.resize(heads.size() * static_cast<size_t>(block));
  return all;
}

void write_call(Hdf5File& file, const std::string& name, const KeptCall& call, int64_t heads) {
  const std::string group = "/qkv/" + name;
  file.create_group(group);
  file.set_attribute(group, "prefix", call.prefix);
  file.set_attribute(group, "suffix", call.suffix);
  file.set_attribute(group, "scale", call.scale);
  file.set_attribute(group, "heads", call.heads);
  GroupWriter writer(file, group, kCallAxes);
  for (size_t i = 0; i < kQkvNames.size(); ++i) {
    std::vector<int64_t> shape = call.qkv[i].shape;
    shape.front() = heads;
    writer.write(kQkvNames[i], with_all_heads(call.qkv[i].read(), call.heads, heads), shape, "",
                 kCallTexts[i]);
  }
}

class KeptReader {
 public:
  KeptReader(std::shared_ptr<const Hdf5File> file, const Profile& profile)
      : file_(std::move(file)), profile_(profile) {}

  KeptData read() const {
    KeptData kept;
    for (const Hdf5Entry& entry : list("/qkv")) {
      require(entry.is_group, "/qkv/" + entry.name, "a group of one attention call");
      kept.calls.emplace(entry.name, read_call("/qkv/" + entry.name));
    }
    kept.latents = by_prompt<float>("/latents");
    kept.videos = by_prompt<uint8_t>("/videos");
    return kept;
  }

 private:
  void require(bool condition, const std::string& place, const std::string& expected) const {
    SPARSESCOPE_CHECK(ErrorKind::kData, condition, "{}: {}: expected {}", file_->path().string(),
                      place, expected);
  }

  std::vector<Hdf5Entry> list(const std::string& group) const {
    return file_->exists(group) ? file_->list(group) : std::vector<Hdf5Entry>{};
  }

  std::vector<int64_t> heads_of(const std::string& group) const {
    const int64_t count = file_->attribute_count(group, "heads");
    require(count >= 1 && count <= profile_.heads, group, "1 to all heads in the attribute heads");
    const std::vector<int64_t> heads = file_->int64s_attribute(group, "heads", count);
    for (size_t i = 0; i < heads.size(); ++i) {
      require(heads[i] >= (i == 0 ? 0 : heads[i - 1] + 1) && heads[i] < profile_.heads, group,
              "ascending heads of the profile in the attribute heads");
    }
    return heads;
  }

  KeptCall read_call(const std::string& group) const {
    KeptCall call;
    call.prefix = file_->int64_attribute(group, "prefix");
    call.suffix = file_->int64_attribute(group, "suffix");
    call.scale = file_->double_attribute(group, "scale");
    call.heads = heads_of(group);
    const std::vector<int64_t> stored = file_->info(group + "/q").shape;  // [H, S, D]
    const int64_t text_limit = int64_t{1} << 40;  // of the file's wrapper for an axis
    require(call.prefix >= 0 && call.prefix < text_limit && call.suffix >= 0 &&
                call.suffix < text_limit,
            group, "numbers of text tokens in the attributes prefix and suffix");
    const int64_t tokens = call.prefix + profile_.grid.tokens() + call.suffix;
    require(
        stored.size() == 3 && stored[0] == profile_.heads && stored[1] == tokens && stored[2] >= 1,
        group + "/q",
        fmt::format("[{}, {}, channels], found {}", profile_.heads, tokens,
                    shape_to_string(stored)));
    for (size_t i = 0; i < kQkvNames.size(); ++i) {
      const std::string dataset = group + "/" + kQkvNames[i];
      require(file_->info(dataset).shape == stored, dataset,
              "the shape of q, " + shape_to_string(stored));
      call.qkv[i].shape = {std::ssize(call.heads), stored[1], stored[2]};
      call.qkv[i].read = [file = file_, dataset, stored, heads = call.heads] {
        return only_heads(file->read<float>(dataset, stored), heads, stored[0]);
      };
    }
    return call;
  }

  template <typename T>
  std::map<int64_t, KeptArray<T>> by_prompt(const std::string& group) const {
    std::map<int64_t, KeptArray<T>> arrays;
    for (const Hdf5Entry& entry : list(group)) {
      const int64_t prompt = prompt_of_name(entry.name);
      if (prompt < 0) continue;  // a scale
      const std::string dataset = group + "/" + entry.name;
      const std::vector<int64_t> shape = file_->info(dataset).shape;
      require(shape.size() == 4, dataset, "four axes");
      arrays[prompt] = {shape,
                        [file = file_, dataset, shape] { return file->read<T>(dataset, shape); }};
    }
    return arrays;
  }

  std::shared_ptr<const Hdf5File> file_;
  const Profile& profile_;
};

}  // namespace

void write_kept(Hdf5File& file, const Profile& profile) {
  const KeptData& kept = profile.kept;
  for (const auto& [name, call] : kept.calls) write_call(file, name, call, profile.heads);
  GroupWriter latents(file, "/latents", kLatentAxes);
  for (const auto& [prompt, array] : kept.latents) {
    latents.write(prompt_name(prompt), array.read(), array.shape, "",
                  "latents behind the last step, sampled with dense attention");
  }
  GroupWriter videos(file, "/videos", kVideoAxes);
  for (const auto& [prompt, array] : kept.videos) {
    videos.write(prompt_name(prompt), array.read(), array.shape, kPixelUnit,
                 "the latents decoded: -1 to 1 as 0 to 255");
  }
}

KeptData read_kept(const std::shared_ptr<const Hdf5File>& file, const Profile& profile) {
  return KeptReader(file, profile).read();
}

std::string prompt_name(int64_t prompt) { return fmt::format("p{}", prompt); }

int64_t prompt_of_name(const std::string& name) {
  int64_t prompt = -1;
  const char* end = name.data() + name.size();
  if (name.size() < 2 || name.front() != 'p') return -1;
  const auto [stop, error] = std::from_chars(name.data() + 1, end, prompt);
  return error == std::errc() && stop == end ? prompt : -1;
}

}  // namespace sparsescope
