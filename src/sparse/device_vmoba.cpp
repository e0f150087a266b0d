// VMoBA on the device: gates of a few heads at a time, or of a run of queries where one head is too
// large. Pools that fit are passed over without making their gates again.
#include <algorithm>

#include "core/error.h"
#include "kernels/cuda/select_gate_products.h"
#include "kernels/cuda/select_pools.h"
#include "kernels/cuda/select_rows.h"
#include "kernels/cuda/select_scores.h"
#include "sparse/device_lists.h"
#include "sparse/device_selection.h"
#include "sparse/vmoba_selector.h"

namespace sparsescope {
namespace {

DevicePlanes planes_of(const DeviceSelectorCall& call, std::span<const int64_t> heads) {
  std::vector<int32_t> planes;
  for (int64_t batch = 0; batch < call.q.batch; ++batch) {
    for (const int64_t head : heads) {
      planes.push_back(static_cast<int32_t>(batch * call.q.heads + head));
    }
  }
  return DevicePlanes(std::move(planes));
}

// The gates of a wave, in memory that all waves share.
class GateSource {
 public:
  GateSource(const DeviceSelectorCall& call, const DevicePlanes& planes)
      : call_(call),
        planes_(planes),
        k_means_(call.layout->means(call.k, planes)),
        layout_(call.layout->view()) {
    const int64_t row_bytes =
        cuda::score_stride(layout_.num_tiles) * static_cast<int64_t>(sizeof(float));
    const int64_t rows = std::max<int64_t>(1, call.score_bytes / row_bytes);
    wave_planes_ =
        static_cast<int32_t>(std::clamp<int64_t>(rows / layout_.video_tokens, 1, planes.size()));
    wave_rows_ = static_cast<int32_t>(std::min<int64_t>(rows, layout_.video_tokens));
    if (cuda::gates_by_mma(call.q)) {
      extents_ = cuda::DeviceArray<cuda::KeyExtents>::zeros(planes.size());
    }
    gates_ = cuda::DeviceArray<float>(int64_t{wave_planes_} * wave_rows_ *
                                      cuda::score_stride(layout_.num_tiles));
  }

  // Planes that a wave holds with all their rows; 0 where it holds a part of one.
  int32_t whole_planes() const { return wave_rows_ == layout_.video_tokens ? wave_planes_ : 0; }

  // Of the planes from this one on, once their waves have been made; null: they are not found so.
  const cuda::KeyExtents* extents(int32_t first) const {
    return extents_.size() == 0 ? nullptr : extents_.data() + first;
  }

  // use(wave) for all rows of planes [first, last), in order.
  template <typename Use>
  void for_waves(int32_t first, int32_t last, const Use& use) {
    for (int32_t plane = first; plane < last; plane += wave_planes_) {
      for (int32_t row = 0; row < layout_.video_tokens; row += wave_rows_) {
        const cuda::GateWave wave{.gates = gates_.data(),
                                  .first_plane = plane,
                                  .num_planes = std::min(wave_planes_, last - plane),
                                  .first_row = row,
                                  .num_rows = std::min(wave_rows_, layout_.video_tokens - row)};
        make(wave);
        use(wave);
      }
    }
  }

 private:
  // Gates of a wave are those that were made last, mostly.
  void make(const cuda::GateWave& wave) {
    if (made_.num_planes == wave.num_planes && made_.first_plane == wave.first_plane &&
        made_.first_row == wave.first_row) {
      return;
    }
    const int64_t dim = cuda::padded_dim(call_.k.head_dim);
    cuda::tile_scores(
        {.x = call_.q,
         .planes = planes_.view().part(wave.first_plane, wave.num_planes),
         .order = layout_.order,
         .first_row = wave.first_row,
         .num_rows = wave.num_rows,
         .means = k_means_.data() + wave.first_plane * layout_.num_tiles * dim,
         .num_tiles = layout_.num_tiles,
         .head_dim = static_cast<int32_t>(call_.q.head_dim),
         .out = gates_.data(),
         .extents = extents_.size() == 0 ? nullptr : extents_.data() + wave.first_plane});
    made_ = wave;
  }

  const DeviceSelectorCall& call_;
  const DevicePlanes& planes_;
  cuda::DeviceArray<float> k_means_;
  cuda::SelectLayout layout_;
  int32_t wave_planes_ = 0, wave_rows_ = 0;
  cuda::DeviceArray<float> gates_;
  cuda::DeviceArray<cuda::KeyExtents> extents_;  // [planes]
  cuda::GateWave made_;
};

struct GateMask {
  cuda::SelectLayout layout;
  cuda::DeviceArray<uint32_t> bits;  // bit rows [planes, S_video]

  uint32_t* row(int64_t plane, int64_t position) {
    return bits.data() +
           (plane * layout.video_tokens + position) * cuda::mask_words(layout.num_tiles);
  }
};

void select_by_query(GateSource& gates, const cuda::QueryGateRule& rule, int32_t num_planes,
                     GateMask& mask) {
  gates.for_waves(0, num_planes, [&](const cuda::GateWave& wave) {
    cuda::select_query_gates({.scores = wave.gates,
                              .num_planes = wave.num_planes,
                              .num_rows = wave.num_rows,
                              .num_tiles = mask.layout.num_tiles,
                              .mask = mask.row(wave.first_plane, wave.first_row),
                              .mask_stride = mask.layout.video_tokens},
                             mask.layout.tile_of + wave.first_row, rule);
  });
}

cuda::PoolSpan pool_span(VmobaPool pool) {
  switch (pool) {
    case VmobaPool::kHeadGlobal:
      return cuda::PoolSpan::kPlane;
    case VmobaPool::kOverall:
      return cuda::PoolSpan::kSample;
    case VmobaPool::kBlock:
      return cuda::PoolSpan::kBlock;
    case VmobaPool::kQueryHead:
      break;
  }
  fail(ErrorKind::kInternal, "VMoBA: a pool of one query does not span queries");
}

// The pools of planes [first, first + pools.num_planes).
void select_pools(GateSource& gates, cuda::Pools pools, int32_t first) {
  const auto for_waves = [&](const auto& use) {
    gates.for_waves(first, first + pools.num_planes, [&](cuda::GateWave wave) {
      wave.first_plane -= first;
      use(wave);
    });
  };
  cuda::start_pools(pools);
  if (pools.rule.top_k == 0) {
    if (pools.rule.span == cuda::PoolSpan::kPlane) pools.extents = gates.extents(first);
    for_waves([&](const cuda::GateWave& wave) {
      if (pools.extents == nullptr) cuda::extents_pass(pools, wave);
    });
    cuda::measure_pools(pools);
  }
  for (int32_t digit = 0; digit < cuda::kPoolDigits; ++digit) {
    for_waves([&](const cuda::GateWave& wave) { cuda::digit_pass(pools, wave, digit); });
    cuda::advance_pools(pools, digit);
  }
  for_waves([&](const cuda::GateWave& wave) { cuda::mark_pass(pools, wave); });
  cuda::share_ties(pools);
  for_waves([&](const cuda::GateWave& wave) { cuda::ties_pass(pools, wave); });
}

void select_by_pool(GateSource& gates, const cuda::PoolRule& rule, int32_t num_planes,
                    int32_t heads, GateMask& mask) {
  // As many pools at a time as fit, but all planes of one.
  const int32_t pool_planes = rule.span == cuda::PoolSpan::kPlane ? 1 : heads;
  const int32_t at_once =
      std::clamp(gates.whole_planes() / pool_planes * pool_planes, pool_planes, num_planes);
  cuda::Pools pools{.rule = rule,
                    .num_planes = at_once,
                    .heads = heads,
                    .num_tiles = mask.layout.num_tiles,
                    .video_tokens = mask.layout.video_tokens,
                    .own = mask.layout.tile_of};
  const int64_t places = int64_t{pools.num_pools()} * cuda::kPoolPlaces;
  cuda::DeviceArray<cuda::PoolState> states(pools.num_pools());
  cuda::DeviceArray<int64_t> weights(places), counts(places);
  cuda::DeviceArray<int32_t> ties(int64_t{at_once} * pools.num_tiles);
  pools.states = states.data();
  pools.weights = weights.data();
  pools.counts = counts.data();
  pools.ties = ties.data();
  for (int32_t first = 0; first < num_planes; first += at_once) {
    pools.num_planes = std::min(at_once, num_planes - first);
    pools.mask = mask.row(first, 0);
    select_pools(gates, pools, first);
  }
}

}  // namespace

DeviceSelection select_vmoba_on_device(const DeviceSelectorCall& call,
                                       std::span<const int64_t> heads,
                                       const VmobaOptions& options) {
  const VmobaParams& params = options.params;
  check_vmoba_options(options);
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, !options.compat,
                    "VMoBA on a GPU: the compat rules are selected on the host alone");
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported,
                    params.pool != VmobaPool::kQueryHead ||
                        call.layout->host().num_tiles() <= cuda::kMaxQueryBlocks,
                    "VMoBA on a GPU: pools of one query hold at most {} blocks, found {}",
                    cuda::kMaxQueryBlocks, call.layout->host().num_tiles());
  const bool by_count = params.select == VmobaSelect::kTopK;
  DeviceListBuilder builder(call.layout, planes_of(call, heads), call.q.heads);
  const auto num_planes = static_cast<int32_t>(builder.planes().size());
  GateMask mask{.layout = call.layout->view()};
  const auto top_k =
      static_cast<int32_t>(by_count ? std::min<int64_t>(params.top_k, mask.layout.num_tiles) : 0);
  mask.bits = cuda::DeviceArray<uint32_t>(int64_t{num_planes} * mask.layout.video_tokens *
                                          cuda::mask_words(mask.layout.num_tiles));
  {
    GateSource gates(call, builder.planes());
    if (params.pool == VmobaPool::kQueryHead) {
      select_by_query(gates, {.top_k = top_k, .threshold = params.threshold}, num_planes, mask);
    } else {
      select_by_pool(
          gates, {.span = pool_span(params.pool), .top_k = top_k, .threshold = params.threshold},
          num_planes, static_cast<int32_t>(heads.size()), mask);
    }
  }
  return builder.chosen_rows(mask.bits.data());
}

}  // namespace sparsescope
