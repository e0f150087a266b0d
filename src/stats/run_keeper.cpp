#include "stats/run_keeper.h"

#include <utility>

#include "stats/decoded_video.h"
#include "stats/kept_part.h"

namespace sparsescope {
std::vector<int64_t> heads_named(const SiteSelection& selection) {
  std::vector<int64_t> heads;
  for (size_t head = 0; head < selection.heads.size(); ++head) {
    if (selection.heads[head] != 0) heads.push_back(static_cast<int64_t>(head));
  }
  return heads;
}

RunKeeper::RunKeeper(const TrajectoryRun& run)
    : last_step_(run.sampling.steps - 1), keeps_results_(run.record.keep_videos) {
  const ModelInfo& info = run.model->info();
  calls_ = parse_site_selection(run.record.keep_qkv, run.sampling.steps, info.layers, info.heads,
                                "--keep-qkv");
  if (keeps_results_ && run.folder->codec) {
    codec_ = std::make_shared<const LinearCodec>(LinearCodec::open(*run.folder->codec));
  }
}

void RunKeeper::note_missing_codec(const RunMonitor& monitor) const {
  if (!keeps_results_ || codec_ != nullptr) return;
  report_note(monitor, "--keep-videos: the checkpoint has no codec; only the latents are kept");
}

RecordHook RunKeeper::around(AttentionHook& inner) const {
  return RecordHook(
      inner, [this](const SiteKey& site) { return calls_.keeps(site.step, site.layer); },
      heads_named(calls_));
}

void RunKeeper::add_part(const std::filesystem::path& path, const ProfilePart& part) {
  kept_.calls.merge(kept_calls_of_part(path, part.prompt, part.step));
  if (!keeps_results_ || part.step != last_step_) return;
  const std::vector<int64_t>& shape = part.state.latents.shape;  // [1, C, F, Hl, Wl]
  KeptArray<float> latents = array_in_file(path, "state/latents", {shape.begin() + 1, shape.end()});
  if (codec_ != nullptr) kept_.videos[part.prompt] = decoded_video(latents, codec_);
  kept_.latents[part.prompt] = std::move(latents);
}

KeptData RunKeeper::take() { return std::exchange(kept_, {}); }

}  // namespace sparsescope
