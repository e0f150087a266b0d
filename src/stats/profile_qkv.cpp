#include "stats/profile_qkv.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>

#include "checkpoint/safetensors.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/sha256.h"
#include "effects/site_recorder.h"
#include "stats/profile_builder.h"
#include "stats/profile_manifest.h"
#include "stats/profile_store.h"
#include "stats/run_keeper.h"
#include "stats/site_selection.h"

namespace sparsescope {
namespace {

constexpr int64_t kMaxIndex = 1 << 20;  // of a prompt, step or layer in a file's metadata
constexpr int64_t kMaxHeadDim = 256;    // of the kernels

struct Capture {
  std::filesystem::path path;
  SiteKey site;                // of the batch's first entry
  std::vector<int64_t> shape;  // [B, H, S, D]
};

int64_t index_of(const SafetensorsFile& file, const std::string& key, int64_t otherwise,
                 int64_t limit) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) return otherwise;
  const std::string& text = found->second;
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  SPARSESCOPE_CHECK(
      ErrorKind::kData,
      error == std::errc() && end == text.data() + text.size() && value >= 0 && value < limit,
      "{}: metadata '{}': expected a number below {}, found '{}'", file.path().string(), key, limit,
      text);
  return value;
}

// Shapes and types only; no values are read.
Capture describe(const QkvRun& run, size_t place) {
  const SafetensorsFile file = SafetensorsFile::open(run.files[place]);
  Capture capture{run.files[place], {}, {}};
  for (const char* name : {"q", "k", "v"}) {
    const StoredTensor tensor = file.fetch(name);
    SPARSESCOPE_CHECK(
        ErrorKind::kData,
        tensor.dtype == Dtype::kF32 || tensor.dtype == Dtype::kBF16 || tensor.dtype == Dtype::kF16,
        "{}: {}: expected fp32, bf16 or fp16, found {}", capture.path.string(), name,
        dtype_name(tensor.dtype));
    if (capture.shape.empty()) capture.shape = tensor.shape;
    SPARSESCOPE_CHECK(ErrorKind::kData, tensor.shape == capture.shape,
                      "{}: {}: expected the shape of q, {}, found {}", capture.path.string(), name,
                      shape_to_string(capture.shape), shape_to_string(tensor.shape));
  }
  const int64_t tokens = run.prefix + run.grid.tokens() + run.suffix;
  const auto& shape = capture.shape;
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    shape.size() == 4 && shape[0] > 0 && shape[1] > 0 && shape[2] == tokens &&
                        shape[3] > 0 && shape[3] <= kMaxHeadDim,
                    "{}: q: expected [B, H, {}, D up to {}] for the grid {} with {} text tokens, "
                    "found {}",
                    capture.path.string(), tokens, kMaxHeadDim, to_string(run.grid),
                    run.prefix + run.suffix, shape_to_string(shape));
  capture.site.prompt = index_of(file, "prompt", 0, kMaxIndex);
  capture.site.branch = static_cast<Branch>(index_of(file, "branch", 0, 2));
  capture.site.step = index_of(file, "step", static_cast<int64_t>(place), kMaxIndex);
  capture.site.layer = index_of(file, "layer", 0, kMaxIndex);
  return capture;
}

float softmax_scale(int64_t head_dim) { return 1.0f / std::sqrt(static_cast<float>(head_dim)); }

// Mapped bytes may lie anywhere; kernels want aligned elements.
std::vector<uint32_t> aligned_copy(const StoredTensor& tensor) {
  std::vector<uint32_t> words((tensor.bytes + 3) / 4);
  std::memcpy(words.data(), tensor.data, tensor.bytes);
  return words;
}

class QkvProfiler {
 public:
  QkvProfiler(const QkvRun& run, const RunMonitor& monitor) : run_(run), monitor_(monitor) {
    for (size_t i = 0; i < run.files.size(); ++i) captures_.push_back(describe(run, i));
    measure_extents();
  }

  ProfileOutcome run() {
    const auto start = std::chrono::steady_clock::now();
    const RecordOptions& record = run_.record;
    const auto sites_of = [&](const std::string& text, const char* option) {
      return parse_site_selection(text, header_.steps, header_.layers, header_.heads, option);
    };
    const SiteSelection maps = sites_of(record.maps, "--maps");
    const SiteSelection kept = sites_of(record.keep_qkv, "--keep-qkv");
    const auto prompts = parse_index_list(record.prompts, header_.prompts, "--record-prompts");
    const auto steps = parse_index_list(record.steps, header_.steps, "--record-steps");
    const auto layers = parse_index_list(record.layers, header_.layers, "--record-layers");
    ProfilingOptions options;
    options.tile = record.tile;
    options.partitions = record.partitions;
    options.rows_per_tile = record.rows_per_tile;
    options.seed = record.seed;
    options.keep_map = [&](const SiteKey& site) { return maps.keeps(site.step, site.layer); };
    options.record = [&](const SiteKey& site) {
      const bool named = steps[site.step] != 0 && layers[site.layer] != 0;
      return prompts[site.prompt] != 0 &&
             (named || maps.keeps(site.step, site.layer) || kept.keeps(site.step, site.layer));
    };
    SiteRecorder hook(options, run_.record.error_tiles, run_.impl, *run_.pool);
    ProfileBuilder builder(header_);
    for (size_t i = 0; i < captures_.size(); ++i) {
      check_stop(monitor_);
      attend(captures_[i], hook);
      for (const SiteStatistics& site : hook.take()) {
        builder.add(site, maps.heads);
        ++summary_.sites;
      }
      report_progress(monitor_, static_cast<int64_t>(i) + 1, std::ssize(captures_),
                      captures_[i].path.filename().string());
    }
    summary_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    summary_.attention_seconds = hook.attention_seconds();
    Profile profile = builder.take(manifest());
    keep_calls(kept, profile);
    write_profile(run_.out.path, profile, run_.out.replace);
    summary_.file_bytes = std::filesystem::file_size(run_.out.path);
    return summary_;
  }

 private:
  void measure_extents() {
    std::set<std::tuple<int64_t, Branch, int64_t, int64_t>> seen;
    header_.grid = run_.grid;
    header_.tile = run_.record.tile;
    header_.rows_per_tile = run_.record.rows_per_tile;
    header_.heads = captures_.front().shape[1];
    for (const Capture& capture : captures_) {
      const SiteKey& site = capture.site;
      SPARSESCOPE_CHECK(ErrorKind::kData, capture.shape[1] == header_.heads,
                        "{}: q: expected {} heads as in {}, found {}", capture.path.string(),
                        header_.heads, captures_.front().path.string(), capture.shape[1]);
      for (int64_t b = 0; b < capture.shape[0]; ++b) {
        SPARSESCOPE_CHECK(
            ErrorKind::kData,
            seen.emplace(site.prompt + b, site.branch, site.step, site.layer).second,
            "{}: prompt {}, branch {}, step {}, layer {} is given by another file too",
            capture.path.string(), site.prompt + b, static_cast<int>(site.branch), site.step,
            site.layer);
      }
      header_.prompts = std::max(header_.prompts, site.prompt + capture.shape[0]);
      header_.branches = std::max(header_.branches, static_cast<int64_t>(site.branch) + 1);
      header_.steps = std::max(header_.steps, site.step + 1);
      header_.layers = std::max(header_.layers, site.layer + 1);
    }
    // Captures carry no schedule.
    header_.timestep.assign(static_cast<size_t>(header_.steps),
                            std::numeric_limits<double>::quiet_NaN());
    header_.sigma = header_.timestep;
    for (int64_t layer = 0; layer < header_.layers; ++layer) {
      header_.layer_name.push_back(fmt::format("layer {}", layer));
    }
    summary_.prompts = header_.prompts;
    summary_.branches = header_.branches;
    summary_.steps = header_.steps;
    summary_.layers = header_.layers;
    summary_.heads = header_.heads;
  }

  // One call per entry of the batch: the statistics concern one video.
  void attend(const Capture& capture, AttentionHook& hook) const {
    const SafetensorsFile file = SafetensorsFile::open(capture.path);
    const int64_t H = capture.shape[1], S = capture.shape[2], D = capture.shape[3];
    std::vector<uint32_t> bytes[3];
    Dtype dtype[3];
    for (int i = 0; i < 3; ++i) {
      const StoredTensor tensor = file.fetch(i == 0 ? "q" : i == 1 ? "k" : "v");
      bytes[i] = aligned_copy(tensor);
      dtype[i] = tensor.dtype;
    }
    std::vector<float> out(static_cast<size_t>(H * S * D));
    for (int64_t b = 0; b < capture.shape[0]; ++b) {
      const auto entry = [&](int i) {
        const auto* first = reinterpret_cast<const std::byte*>(bytes[i].data());
        const int64_t offset = b * H * S * D * dtype_bits(dtype[i]) / 8;
        return contiguous_attention_tensor(first + offset, dtype[i], 1, H, S, D);
      };
      AttentionCall call;
      call.site = capture.site;
      call.site.prompt += b;
      call.grid = run_.grid;
      call.prefix = run_.prefix;
      call.suffix = run_.suffix;
      call.scale = softmax_scale(D);
      call.q = entry(0);
      call.k = entry(1);
      call.v = entry(2);
      call.out = contiguous_output(out.data(), H, S, D);
      hook.attend(call);
    }
  }

  // They lie in the captures, and are read when the profile is written.
  void keep_calls(const SiteSelection& kept, Profile& profile) const {
    for (const Capture& capture : captures_) {
      const SiteKey& site = capture.site;
      if (!kept.keeps(site.step, site.layer)) continue;
      for (int64_t b = 0; b < capture.shape[0]; ++b) {
        const auto branch = static_cast<int64_t>(site.branch);
        if (!profile.is_recorded(site.prompt + b, branch, site.step, site.layer)) continue;
        profile.kept.calls.emplace(map_name(site.prompt + b, branch, site.step, site.layer),
                                   kept_call(capture, b, heads_named(kept)));
      }
    }
  }

  KeptCall kept_call(const Capture& capture, int64_t entry,
                     const std::vector<int64_t>& heads) const {
    const int64_t H = capture.shape[1], S = capture.shape[2], D = capture.shape[3];
    KeptCall call{.prefix = run_.prefix, .suffix = run_.suffix, .heads = heads, .qkv = {}};
    call.scale = softmax_scale(D);
    for (size_t i = 0; i < kQkvNames.size(); ++i) {
      call.qkv[i].shape = {std::ssize(heads), S, D};
      call.qkv[i].read = [path = capture.path, name = std::string(kQkvNames[i]), heads,
                          first = entry * H, block = S * D] {
        const std::vector<float> all =
            to_float(SafetensorsFile::open(path).fetch(name), path.string() + ": " + name);
        std::vector<float> values;  // [kept heads, S, D]
        for (const int64_t head : heads) {
          const auto from = all.begin() + (first + head) * block;
          values.insert(values.end(), from, from + block);
        }
        return values;
      };
    }
    return call;
  }

  Json manifest() const {
    Json manifest = build_manifest(run_.impl, run_.pool->size());
    Json files = Json::array();
    for (const Capture& capture : captures_) {
      files.push_back({{"file", path_tail(capture.path)}, {"sha256", sha256_file(capture.path)}});
    }
    manifest["qkv"] = files;
    manifest["head_dim"] = captures_.front().shape[3];
    manifest["prefix"] = run_.prefix;
    manifest["suffix"] = run_.suffix;
    manifest.update(record_manifest(run_.record, run_.grid, run_.impl));
    manifest["prompts"] = Json::array();
    manifest["rng_key"] = std::to_string(run_.record.seed);
    manifest["command_line"] = run_.command_line;
    manifest["seconds"] = summary_.seconds;
    return manifest;
  }

  const QkvRun& run_;
  const RunMonitor& monitor_;
  std::vector<Capture> captures_;
  Profile header_;
  ProfileOutcome summary_;
};

}  // namespace

ProfileOutcome profile_qkv(const QkvRun& run, const RunMonitor& monitor) {
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !run.files.empty(), "--qkv: expected at least one file");
  check_writable_output(run.out.path, run.out.replace);
  return QkvProfiler(run, monitor).run();
}

}  // namespace sparsescope
