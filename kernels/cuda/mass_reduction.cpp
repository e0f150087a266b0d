#include "kernels/cuda/mass_reduction.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "kernels/cuda/multiply_rows.h"
#include "kernels/cuda/reduction_tables.h"

namespace sparsescope::cuda {
namespace {

static_assert(kReducedCosineBins == kCosineBins);

// Reads one kind of sums after the other from a head's row of results.
class ResultReader {
 public:
  explicit ResultReader(const double* row) : at_(row) {}
  std::vector<double> take(int64_t count) {
    const double* from = std::exchange(at_, at_ + count);
    return {from, at_};
  }

 private:
  const double* at_;
};

}  // namespace

struct MassReduction::State {
  std::shared_ptr<const ReductionTables> tables;
  AttentionTensor q, k;
  float scale;
  float* map_on_host;
  int64_t score_bytes;

  cudaStream_t stream = nullptr;             // of the chunks
  DeviceBuffer<double> results;              // [H, places.size]
  DeviceBuffer<unsigned long long> cosines;  // [H, kCosineBins]
  // The heads whose row blocks are coming in.
  int32_t first_head = 0, num_heads = 0, next_block = 0;
  DeviceBuffer<float> map;          // [num_heads, N, N]
  DeviceBuffer<double> difference;  // [num_heads, groups, tile_runs(N)]
  DeviceBuffer<double> of_rows;     // [num_heads, video row blocks, 2]

  DeviceBuffer<int32_t> piece_first;  // [N + 1]
  DeviceBuffer<uint64_t> sort_keys;   // where rows do not fit shared memory

  HeadSumsOut out(int64_t place, int32_t skipped_heads = 0) {
    const int64_t size = tables->places.size;
    return {results.data() + (first_head + skipped_heads) * size + place, size};
  }

  OrderScratch sort_scratch() {
    if (tables->num_tiles <= kMaxSharedSort) return {};
    if (sort_keys.size() == 0) {
      sort_keys = {int64_t{kGlobalSortBlocks} * sorted_size(tables->num_tiles), stream};
    }
    return {sort_keys.data(), kGlobalSortBlocks};
  }

  int32_t num_groups() const { return static_cast<int32_t>(tables->groups_on_host.size()); }
  void prepare(const MassChunk& chunk);
  void start_heads(const MassChunk& chunk);
  void reduce_tiles(const MassChunk& chunk, int32_t num_blocks);
  void reduce_axes(const MassChunk& chunk, int32_t num_blocks);
  void finish_heads();
  void reduce_means();
};

// On the stream of the first chunk; all chunks have the same pieces.
void MassReduction::State::prepare(const MassChunk& chunk) {
  results = {q.heads * tables->places.size, stream};
  results.fill_zero();
  cosines = {q.heads * kCosineBins, stream};
  cosines.fill_zero();
  piece_first = {tables->num_tiles + 1, stream};
  find_first_pieces(chunk, tables->tile_first.data(), tables->num_tiles + 1, piece_first.data(),
                    stream);
}

void MassReduction::State::start_heads(const MassChunk& chunk) {
  const int64_t N = tables->num_tiles;
  first_head = chunk.first_head;
  if (chunk.num_heads != num_heads) {
    num_heads = chunk.num_heads;
    map = {num_heads * N * N, stream};
    difference = {int64_t{num_heads} * num_groups() * tile_runs(tables->num_tiles), stream};
    of_rows = {int64_t{num_heads} * tables->num_video_blocks * 2, stream};
  }
}

void MassReduction::State::reduce_tiles(const MassChunk& chunk, int32_t num_blocks) {
  const int32_t first = chunk.first_row_block, end = first + num_blocks;
  const auto group_at = [&](int32_t block) {
    const auto& groups = tables->groups_on_host;
    return std::lower_bound(
               groups.begin(), groups.end(), block,
               [](const RowGroup& group, int32_t at) { return group.first_block < at; }) -
           groups.begin();
  };
  const auto first_group = group_at(first);
  TileMasses call{
      .chunk = chunk,
      .piece_first = piece_first.data(),
      .num_tiles = tables->num_tiles,
      .groups = tables->groups.data() + first_group,
      .first_group = static_cast<int32_t>(first_group),
      .num_groups = static_cast<int32_t>(group_at(end) - first_group),
      .all_groups = num_groups(),
      .blocks = tables->blocks.data(),
      .spans = tables->span_table(),
      .sampled_first = tables->sampled_first.data(),
      .sampled_lane = tables->sampled_lane.data(),
      .first_sample = tables->sampled_first_on_host[first],
      .num_samples = tables->sampled_first_on_host[end] - tables->sampled_first_on_host[first],
      .map = map.data(),
      .difference = difference.data()};
  DeviceBuffer<float> sampled(int64_t{num_heads} * call.num_samples * call.num_tiles, stream);
  call.sampled = sampled.data();
  reduce_tile_masses(call, stream);
  if (call.num_samples == 0) return;
  const int32_t F = tables->num_fractions;
  const int64_t samples = int64_t{num_heads} * call.num_samples;
  DeviceBuffer<double> coverage(samples * F, stream);
  reduce_row_orders(sampled.data(), samples, tables->num_tiles, tables->fractions(), sort_scratch(),
                    coverage.data(), stream);
  sum_rows(coverage.data(), num_heads, call.num_samples, F, out(tables->places.coverage_row),
           stream);
}

void MassReduction::State::reduce_axes(const MassChunk& chunk, int32_t num_blocks) {
  AxesChunk call{.chunk = chunk, .num_blocks = num_blocks, .stride = tables->places.size};
  int64_t values = 0;
  for (int axis = 0; axis < kAxes; ++axis) {
    const DeviceAxis& of_axis = tables->axes[axis];
    const int32_t first = of_axis.first_on_host[chunk.first_row_block],
                  end = of_axis.first_on_host[chunk.first_row_block + num_blocks];
    call.axes[axis] = of_axis.table();
    call.scratch_first[axis] = values;
    call.pairs[axis] = out(tables->places.pairs[axis]).out;
    values += int64_t{num_heads} * (end - first) * of_axis.extent;
  }
  DeviceBuffer<double> scratch(values, stream);
  call.scratch = scratch.data();
  cuda::reduce_axes(call, stream);
}

// All rows of the heads are there.
void MassReduction::State::finish_heads() {
  const int32_t N = tables->num_tiles;
  const ResultPlaces& places = tables->places;
  sum_rows(difference.data(), num_heads, int64_t{num_groups()} * tile_runs(N), 1,
           out(places.difference), stream);
  sum_rows(of_rows.data(), num_heads, tables->num_video_blocks, 2, out(places.rows), stream);
  sum_key_mass(map.data(), num_heads, N, tables->sizes.data(), out(places.key_mass), stream);
  DeviceBuffer<double> of_slices(int64_t{num_heads} * kOffsetSlices * N, stream);
  sum_offsets(map.data(), num_heads, tables->tiles, tables->sizes.data(), of_slices.data(),
              out(places.offset_mass), stream);
  if (map_on_host != nullptr) {
    to_host(map.data(),
            std::span(map_on_host + int64_t{first_head} * N * N, static_cast<size_t>(map.size())),
            stream);
  }
  reduce_means();
  next_block = 0;
}

// What needs the queries and keys.
void MassReduction::State::reduce_means() {
  const int32_t N = tables->num_tiles, width = 4 * tables->num_fractions + 4;
  const auto D = static_cast<int32_t>(q.head_dim);
  const ResultPlaces& places = tables->places;
  const auto heads_at_once =
      static_cast<int32_t>(std::clamp<int64_t>(score_bytes / (int64_t{N} * N * 4), 1, num_heads));
  const int64_t rows = tables->order.size();
  DeviceBuffer<float> queries(int64_t{heads_at_once} * N * D, stream),
      keys(int64_t{heads_at_once} * N * D, stream), scores(int64_t{heads_at_once} * N * N, stream);
  DeviceBuffer<double> values(int64_t{heads_at_once} * N * width, stream),
      norms(int64_t{heads_at_once} * rows, stream),
      of_windows(int64_t{heads_at_once} * N * tables->num_windows, stream);
  for (int32_t first = 0; first < num_heads; first += heads_at_once) {
    const int32_t heads = std::min(heads_at_once, num_heads - first);
    TileQueries call{q, first_head + first, heads, tables->order.data(), tables->runs.data(), N};
    reduce_tile_means(call, scale, queries.data(), stream);
    if (tables->num_windows > 0) {
      reduce_cosines(call, tables->windows.data(), tables->num_windows, rows, norms.data(),
                     of_windows.data(), cosines.data() + (first_head + first) * kCosineBins,
                     stream);
      sum_rows(of_windows.data(), heads, N, tables->num_windows, out(places.windows, first),
               stream);
    }
    call.tensor = k;
    reduce_tile_means(call, 1.0, keys.data(), stream);
    multiply_rows(queries.data(), N, keys.data(), N, heads, D, scores.data(), stream);
    reduce_tile_orders({.map = map.data() + int64_t{first} * N * N,
                        .scores = scores.data(),
                        .sizes = tables->sizes.data(),
                        .num_heads = heads,
                        .num_tiles = N,
                        .tokens = static_cast<double>(tables->video_tokens),
                        .fractions = tables->fractions(),
                        .scratch = sort_scratch()},
                       values.data(), stream);
    sum_rows(values.data(), heads, N, width, out(places.tile_orders, first), stream);
  }
}

MassReduction::MassReduction(std::shared_ptr<const ReductionTables> tables,
                             const AttentionTensor& q, const AttentionTensor& k, float scale,
                             float* map, int64_t score_bytes)
    : state_(new State{.tables = std::move(tables),
                       .q = q,
                       .k = k,
                       .scale = scale,
                       .map_on_host = map,
                       .score_bytes = score_bytes}) {
  SPARSESCOPE_CHECK(ErrorKind::kUnsupported, q.head_dim <= kMaxReducedHeadDim,
                    "CUDA: statistics of attention: expected a head dim of at most {}, found {}",
                    kMaxReducedHeadDim, q.head_dim);
}

MassReduction::~MassReduction() = default;

void MassReduction::consume(const MassChunk& chunk, void* stream) {
  State& state = *state_;
  const int32_t video_blocks = state.tables->num_video_blocks;
  const int32_t num_blocks = std::min(chunk.num_row_blocks, video_blocks - chunk.first_row_block);
  if (num_blocks <= 0) return;  // text rows
  state.stream = static_cast<cudaStream_t>(stream);
  if (state.results.size() == 0) state.prepare(chunk);
  if (state.next_block == 0) state.start_heads(chunk);
  SPARSESCOPE_ASSERT(chunk.first_head == state.first_head && chunk.num_heads == state.num_heads &&
                     chunk.first_row_block == state.next_block);
  state.reduce_tiles(chunk, num_blocks);
  reduce_rows(chunk, state.piece_first.data(), state.tables->num_tiles, num_blocks, video_blocks,
              state.of_rows.data(), state.stream);
  state.reduce_axes(chunk, num_blocks);
  state.next_block += num_blocks;
  if (state.next_block == video_blocks) state.finish_heads();
}

std::vector<ReducedHead> MassReduction::finish() {
  State& state = *state_;
  const ReductionTables& tables = *state.tables;
  const int32_t F = tables.num_fractions, N = tables.num_tiles;
  const std::vector<double> results = to_host(state.results, state.stream);
  const std::vector<unsigned long long> cosines = to_host(state.cosines, state.stream);
  std::vector<ReducedHead> heads(state.q.heads);
  for (size_t h = 0; h < heads.size(); ++h) {
    ReducedHead& head = heads[h];
    ResultReader reader(&results[h * tables.places.size]);
    head.coverage_tile = reader.take(F);
    head.coverage_pooled = reader.take(F);
    head.bsa_density = reader.take(F);
    head.bsa_recall = reader.take(F);
    head.score_moments = reader.take(4);
    head.coverage_row = reader.take(F);
    head.entropy = reader.take(1)[0];
    head.text_mass = reader.take(1)[0];
    head.row_overlap = static_cast<double>(tables.video_tokens) - 0.5 * reader.take(1)[0];
    head.key_mass = reader.take(N);
    head.offset_mass = reader.take(N);
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t extent = tables.axes[axis].extent;
      head.pairs[axis] = reader.take(extent * extent);
    }
    head.window_cosine = reader.take(tables.num_windows);
    head.query_cosine.assign(&cosines[h * kCosineBins], &cosines[h * kCosineBins] + kCosineBins);
  }
  return heads;
}

}  // namespace sparsescope::cuda
