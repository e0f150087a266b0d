#include "unit/capture/recorded_call.h"

namespace sparsescope::naive {

AttentionCall attention_call(const Call& call, std::vector<float>& out) {
  const int64_t S = call.tokens();
  out.assign(call.q.size(), 0.0f);
  AttentionCall result;
  result.grid = call.grid;
  result.prefix = call.prefix;
  result.suffix = call.suffix;
  result.scale = static_cast<float>(call.scale());
  const auto tensor = [&](const std::vector<float>& values) {
    return contiguous_attention_tensor(values.data(), Dtype::kF32, 1, call.heads, S, call.head_dim);
  };
  result.q = tensor(call.q);
  result.k = tensor(call.k);
  result.v = tensor(call.v);
  result.out = contiguous_output(out.data(), call.heads, S, call.head_dim);
  return result;
}

RecordedCall record(const Call& call, const std::vector<Partition>& partitions, Impl impl,
                    int threads, int64_t rows_per_tile) {
  ThreadPool pool(threads);
  ProfilingOptions options{.tile = call.tile, .partitions = partitions};
  options.rows_per_tile = rows_per_tile;
  options.seed = kRecordSeed;
  options.keep_map = [](const SiteKey&) { return true; };
  ProfilingHook hook(options, impl, pool);
  RecordedCall result;
  hook.attend(attention_call(call, result.out));
  std::vector<SiteStatistics> sites = hook.take();
  for (StatArray& array : sites.at(0).arrays) result.arrays[array.name] = std::move(array);
  result.map = std::move(sites[0].map);
  return result;
}

}  // namespace sparsescope::naive
