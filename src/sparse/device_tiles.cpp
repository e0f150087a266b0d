// VSA and BSA on the device: scores between tile means, a few heads at a time, and a rule for each
// row of them.
#include <algorithm>
#include <limits>

#include "capture/gaussian_cut.h"
#include "capture/statistic_grids.h"
#include "core/error.h"
#include "kernels/cuda/select_rows.h"
#include "kernels/cuda/select_scores.h"
#include "sparse/device_lists.h"
#include "sparse/device_selection.h"

namespace sparsescope {
namespace {

template <typename Head>
DevicePlanes planes_of(const DeviceSelectorCall& call, std::span<const Head> heads) {
  std::vector<int32_t> planes;
  for (const Head& head : heads) {
    planes.push_back(static_cast<int32_t>(head.batch * call.q.heads + head.head));
  }
  return DevicePlanes(std::move(planes));
}

struct MeansOf {
  const float* q;
  const float* k;
};

struct TileMask {
  cuda::DeviceArray<uint32_t> bits;   // bit rows [planes, N]
  cuda::DeviceArray<int32_t> counts;  // [planes, N] bits of each
};

// select(rows, first plane) applies the rule to the rows of a few planes.
template <typename Select>
TileMask select_rows(const DeviceSelectorCall& call, const DevicePlanes& planes,
                     const MeansOf& means, const Select& select) {
  const auto num_tiles = static_cast<int32_t>(call.layout->host().num_tiles());
  const int64_t words = cuda::mask_words(num_tiles);
  const int64_t plane_scores = num_tiles * cuda::score_stride(num_tiles);
  const int64_t plane_means = int64_t{num_tiles} * cuda::padded_dim(call.q.head_dim);
  const int64_t at_once = std::clamp<int64_t>(
      call.score_bytes / (plane_scores * static_cast<int64_t>(sizeof(float))), 1, planes.size());
  TileMask mask{cuda::DeviceArray<uint32_t>(planes.size() * num_tiles * words),
                cuda::DeviceArray<int32_t>(planes.size() * num_tiles)};
  cuda::DeviceArray<float> scores(at_once * plane_scores);
  for (int64_t first = 0; first < planes.size(); first += at_once) {
    const auto count = static_cast<int32_t>(std::min(at_once, planes.size() - first));
    cuda::tile_scores({.planes = planes.view().part(static_cast<int32_t>(first), count),
                       .row_means = means.q + first * plane_means,
                       .num_rows = num_tiles,
                       .means = means.k + first * plane_means,
                       .num_tiles = num_tiles,
                       .head_dim = static_cast<int32_t>(call.q.head_dim),
                       .scale = call.scale,
                       .out = scores.data()});
    select(cuda::ScoreRows{.scores = scores.data(),
                           .num_planes = count,
                           .num_rows = num_tiles,
                           .num_tiles = num_tiles,
                           .mask = mask.bits.data() + first * num_tiles * words,
                           .mask_stride = num_tiles,
                           .counts = mask.counts.data() + first * num_tiles},
           first);
  }
  return mask;
}

cuda::RestoreRule restore_rule(BsaRestore restore) {
  switch (restore) {
    case BsaRestore::kSimilar:
      return cuda::RestoreRule::kSimilar;
    case BsaRestore::kCentre:
      return cuda::RestoreRule::kCentre;
    case BsaRestore::kNearest:
      return cuda::RestoreRule::kNearest;
    case BsaRestore::kZero:
      return cuda::RestoreRule::kZero;
  }
  fail(ErrorKind::kInternal, "a restore rule of an unknown kind");
}

void check_heads(const TokenLayout& layout, std::span<const BsaHead> heads) {
  const BsaOptions& shared = heads[0].options;
  SPARSESCOPE_CHECK(
      ErrorKind::kUnsupported,
      shared.kv.rule == BsaKvRule::kGaussLogit || shared.kv.rule == BsaKvRule::kTopK,
      "bsa on a GPU: key tiles are chosen by the Gaussian cut-off on logits or by top-k alone");
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    shared.restore != BsaRestore::kCentre || shared.query.keep_reference,
                    "bsa on a GPU: restoring from the centre needs a centre that is always kept");
  for (const BsaHead& head : heads) {
    check_bsa_options(layout, head.options);
    SPARSESCOPE_CHECK(ErrorKind::kInternal,
                      head.options.query == shared.query &&
                          head.options.restore == shared.restore &&
                          head.options.kv.rule == shared.kv.rule,
                      "bsa on a GPU: heads of one call differ in more than their kept key tiles");
  }
}

int32_t least_tiles(const BsaKvOptions& options, int64_t num_tiles) {
  return static_cast<int32_t>(std::clamp<int64_t>(options.min_blocks, 1, num_tiles));
}

TileMask select_key_tiles(const DeviceSelectorCall& call, std::span<const BsaHead> heads,
                          const DevicePlanes& planes, const MeansOf& means) {
  const int64_t num_tiles = call.layout->host().num_tiles();
  if (heads[0].options.kv.rule == BsaKvRule::kTopK) {
    std::vector<int32_t> top_k;
    for (const BsaHead& head : heads) {
      const BsaKvOptions& kv = head.options.kv;
      top_k.push_back(std::max(static_cast<int32_t>(tiles_kept(kv.keep, num_tiles)),
                               least_tiles(kv, num_tiles)));
    }
    const cuda::DeviceArray device(top_k);
    return select_rows(call, planes, means, [&](const cuda::ScoreRows& rows, int64_t first) {
      cuda::select_top_k(rows, device.data() + first);
    });
  }
  std::vector<cuda::GaussianRule> rules;
  for (const BsaHead& head : heads) {
    rules.push_back({gaussian_cut(head.options.kv.keep), least_tiles(head.options.kv, num_tiles)});
  }
  const cuda::DeviceArray device(rules);
  return select_rows(call, planes, means, [&](const cuda::ScoreRows& rows, int64_t first) {
    cuda::select_gaussian(rows, device.data() + first);
  });
}

}  // namespace

DeviceSelection select_vsa_on_device(const DeviceSelectorCall& call,
                                     std::span<const VsaHead> heads) {
  const int64_t num_tiles = call.layout->host().num_tiles();
  std::vector<int32_t> top_k;
  for (const VsaHead& head : heads) {
    check_top_k(head.top_k, num_tiles);
    top_k.push_back(static_cast<int32_t>(head.top_k));
  }
  DeviceListBuilder builder(call.layout, planes_of(call, heads), call.q.heads);
  const cuda::DeviceArray<float> q_means = call.layout->means(call.q, builder.planes());
  const cuda::DeviceArray<float> k_means = call.layout->means(call.k, builder.planes());
  const cuda::DeviceArray device_top_k(top_k);
  const TileMask mask = select_rows(call, builder.planes(), {q_means.data(), k_means.data()},
                                    [&](const cuda::ScoreRows& rows, int64_t first) {
                                      cuda::select_top_k(rows, device_top_k.data() + first);
                                    });
  return builder.all_rows(mask.bits.data(), top_k, device_top_k.data());
}

DeviceSelection select_bsa_on_device(const DeviceSelectorCall& call,
                                     std::span<const BsaHead> heads) {
  const TokenLayout& layout = call.layout->host();
  check_heads(layout, heads);
  const BsaOptions& options = heads[0].options;
  const QueryTables& tables = call.layout->query_tables(options.query);
  SPARSESCOPE_CHECK(
      ErrorKind::kUnsupported,
      cuda::query_select_bytes(tables.max_slots, call.q.head_dim) <= cuda::kSelectSharedBytes,
      "bsa on a GPU: a tile of {} tokens of {} channels does not fit a thread block; expected at "
      "most {} bytes",
      tables.max_slots, call.q.head_dim, cuda::kSelectSharedBytes);
  DeviceListBuilder builder(call.layout, planes_of(call, heads), call.q.heads);
  const DevicePlanes& planes = builder.planes();
  const int64_t kept = tables.kept.rows.back();
  const bool copies = options.restore != BsaRestore::kZero;
  KeptRows rows{.rows = cuda::DeviceArray<int32_t>(planes.size() * kept + layout.text_tokens()),
                .restore_from = cuda::DeviceArray<int32_t>(planes.size() * layout.video_tokens()),
                .first_copy = cuda::DeviceArray<int32_t>(copies ? planes.size() * kept + 1 : 0),
                .copy_tokens = cuda::DeviceArray<int32_t>(
                    copies ? planes.size() * (layout.video_tokens() - kept) : 0)};
  cuda::DeviceArray<float> q_means(planes.size() * layout.num_tiles() *
                                   cuda::padded_dim(call.q.head_dim));
  cuda::select_queries({.q = call.q,
                        .planes = planes.view(),
                        .layout = call.layout->view(),
                        .slots = tables.slots.data(),
                        .shape_of_tile = tables.shape_of_tile.data(),
                        .first_kept = tables.kept.device_rows.data(),
                        .max_slots = tables.max_slots,
                        .kept_queries = static_cast<int32_t>(kept),
                        .keep_reference = options.query.keep_reference,
                        .restore = restore_rule(options.restore),
                        .prefix = static_cast<int32_t>(layout.prefix),
                        .rows = rows.rows.data(),
                        .means = q_means.data(),
                        .restore_from = rows.restore_from.data(),
                        .first_copy = rows.first_copy.data(),
                        .copy_tokens = rows.copy_tokens.data()});
  const cuda::DeviceArray<float> k_means = call.layout->means(call.k, planes);
  const TileMask mask = select_key_tiles(call, heads, planes, {q_means.data(), k_means.data()});
  return builder.kept_rows(mask.bits.data(), mask.counts.data(), tables.kept, std::move(rows));
}

}  // namespace sparsescope
