#include "validate/videos_file.h"

#include <algorithm>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/hdf5_file.h"
#include "core/json_io.h"
#include "core/tensor_view.h"
#include "stats/decoded_video.h"
#include "stats/grouped_datasets.h"
#include "stats/kept_check.h"
#include "stats/kept_store.h"

namespace sparsescope {
namespace {

constexpr std::string_view kFormat = "sparsescope-videos";
constexpr int64_t kVersion = 1;

void write_side(Hdf5File& file, const std::string& side, const std::vector<KeptArray<float>>& all,
                const std::shared_ptr<const LinearCodec>& codec) {
  GroupWriter latents(file, "/" + side + "_latents", kLatentAxes);
  GroupWriter pixels(file, "/" + side, kVideoAxes);
  for (size_t prompt = 0; prompt < all.size(); ++prompt) {
    const std::string name = prompt_name(static_cast<int64_t>(prompt));
    latents.write(name, all[prompt].read(), all[prompt].shape, "",
                  "latents behind the last step, sampled with " + side + " attention");
    if (codec == nullptr) continue;
    const KeptArray<uint8_t> video = decoded_video(all[prompt], codec);
    pixels.write(name, video.read(), video.shape, kPixelUnit,
                 "the latents decoded: -1 to 1 as 0 to 255");
  }
}

class VideosReader {
 public:
  explicit VideosReader(const std::filesystem::path& path)
      : file_(Hdf5File::open(path)), name_(path.string()) {}

  VideosCheck check() {
    const int64_t version = file_.int64_attribute("/", "version");
    SPARSESCOPE_CHECK(ErrorKind::kUnsupported, version == kVersion,
                      "{}: holds videos of version {}; this program reads version {}", name_,
                      version, kVersion);
    require(!file_.string_attribute("/", "plan").empty(), "attribute plan", "a hash");
    const Json prompts =
        parse_json(file_.string_attribute("/", "prompts"), name_ + ": attribute prompts");
    const bool texts = prompts.is_array() && !prompts.empty() &&
                       std::all_of(prompts.begin(), prompts.end(),
                                   [](const Json& text) { return text.is_string(); });
    require(texts, "attribute prompts", "a list of texts");
    VideosCheck result{.prompts = prompts.size(), .has_pixels = file_.exists("/dense")};
    check_groups<float>("_latents", result.prompts);
    require(file_.exists("/sparse") == result.has_pixels, "/sparse", "videos of both or of none");
    if (result.has_pixels) check_groups<uint8_t>("", result.prompts);
    return result;
  }

 private:
  void require(bool condition, const std::string& place, const std::string& expected) const {
    SPARSESCOPE_CHECK(ErrorKind::kData, condition, "{}: {}: expected {}", name_, place, expected);
  }

  // The arrays of both sides: one of each prompt, all of one shape, and nothing else but scales.
  template <typename T>
  void check_groups(const std::string& ending, size_t prompts) const {
    const std::vector<int64_t> shape = file_.info("/dense" + ending + "/p0").shape;
    for (const char* side : {"/dense", "/sparse"}) {
      const std::string group = side + ending;
      for (size_t prompt = 0; prompt < prompts; ++prompt) {
        check_array(group + "/" + prompt_name(static_cast<int64_t>(prompt)), shape,
                    file_.read<T>(group + "/" + prompt_name(static_cast<int64_t>(prompt)), shape));
      }
      for (const Hdf5Entry& entry : file_.list(group)) {
        require(prompt_of_name(entry.name) < static_cast<int64_t>(prompts),
                group + "/" + entry.name, fmt::format("a prompt below {}", prompts));
      }
    }
  }

  void check_array(const std::string& place, const std::vector<int64_t>& shape,
                   const std::vector<float>& values) const {
    require(shape.size() == kLatentAxes.size(), place, "four axes");
    const std::string wrong = first_not_finite(values);
    SPARSESCOPE_CHECK(ErrorKind::kData, wrong.empty(), "{}: {}: {}", name_, place, wrong);
  }

  void check_array(const std::string& place, const std::vector<int64_t>& shape,
                   const std::vector<uint8_t>&) const {
    require(shape.size() == kVideoAxes.size() && shape.back() == 3, place,
            "[frames, height, width, 3], found " + shape_to_string(shape));
  }

  Hdf5File file_;
  std::string name_;
};

// An attribute of the file, "" where it is none of ours.
std::string attribute_of(const std::filesystem::path& path, const std::string& name) {
  try {
    const Hdf5File file = Hdf5File::open(path);
    return file.has_attribute("/", name) ? file.string_attribute("/", name) : "";
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

void write_videos(const std::filesystem::path& path, const SampledVideos& videos, bool replace) {
  write_atomically(path, replace, [&](const std::filesystem::path& temporary) {
    Hdf5File file = Hdf5File::create(temporary);
    file.set_attribute("/", "format", std::string(kFormat));
    file.set_attribute("/", "version", kVersion);
    file.set_attribute("/", "plan", videos.plan);
    file.set_attribute("/", "prompts", Json(videos.prompts).dump());
    file.set_attribute("/", "fingerprint", videos.fingerprint);
    write_side(file, "dense", videos.dense, videos.codec);
    write_side(file, "sparse", videos.sparse, videos.codec);
    file.close();
  });
}

bool is_videos_file(const std::filesystem::path& path) {
  return attribute_of(path, "format") == kFormat;
}

bool holds_videos_of(const std::filesystem::path& path, const std::string& fingerprint) {
  return is_videos_file(path) && attribute_of(path, "fingerprint") == fingerprint;
}

VideosCheck check_videos(const std::filesystem::path& path) { return VideosReader(path).check(); }

}  // namespace sparsescope
