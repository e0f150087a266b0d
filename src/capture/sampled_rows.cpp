#include "capture/sampled_rows.h"

#include <algorithm>

#include "core/rng.h"

namespace sparsescope {
namespace {

std::vector<int32_t> draw_positions(int64_t rows, int64_t count, uint64_t seed) {
  std::vector<int32_t> positions;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = i * rows / count, end = (i + 1) * rows / count;
    const double at = uniform(seed, static_cast<uint64_t>(i)) * static_cast<double>(end - first);
    positions.push_back(static_cast<int32_t>(first + static_cast<int64_t>(at)));
  }
  return positions;
}

}  // namespace

SampledRows sample_rows(const RowGroups& rows, int64_t video_tokens, int64_t count, uint64_t seed) {
  SampledRows sampled;
  sampled.all = count >= video_tokens;
  // The draw of a run of one row is that row.
  const std::vector<int32_t> positions =
      draw_positions(video_tokens, std::min(count, video_tokens), seed);
  sampled.first.push_back(0);
  auto next = positions.begin();
  for (const RowBlock& block : rows.blocks) {
    if (next == positions.end()) break;
    for (; next != positions.end() && *next < block.first + block.count; ++next) {
      sampled.token.push_back(rows.order[*next]);
      sampled.lane.push_back(static_cast<uint8_t>(*next - block.first));
    }
    sampled.first.push_back(static_cast<int32_t>(sampled.size()));
    if (sampled.all) sampled.blocks.push_back(block);
  }
  for (int32_t first = 0; !sampled.all && first < sampled.size(); first += kRowLanes) {
    const auto left = static_cast<int32_t>(sampled.size()) - first;
    sampled.blocks.push_back({first, std::min<int32_t>(kRowLanes, left)});
  }
  return sampled;
}

}  // namespace sparsescope
