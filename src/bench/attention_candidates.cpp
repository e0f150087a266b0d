#include "bench/attention_candidates.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/agreement.h"
#include "bench/bench_tensors.h"
#include "bench/sparse_case.h"
#include "bench/torch_attention.h"
#include "capture/profiling_hook.h"
#include "kernels/cuda/cuda_attention.h"
#include "sparse/dense_call.h"
#include "stats/profile_runner.h"

namespace sparsescope {
namespace {

// What VMoBA's published settings keep.
constexpr double kVmobaDensity = 0.19;

// The part of a call that belongs to one sample.
AttentionCall sample_of(AttentionCall call, int64_t batch) {
  for (AttentionTensor* x : {&call.q, &call.k, &call.v}) {
    x->data =
        static_cast<const char*>(x->data) + batch * x->stride_batch * dtype_bits(x->dtype) / 8;
    x->batch = 1;
  }
  call.out.data += batch * call.out.stride_batch;
  return call;
}

}  // namespace

// Every candidate has its own results, so that none hides another's mistake.
struct AttentionCandidates::State {
  State(const AttentionBenchOptions& options, Impl impl, const AttentionKernels& kernels)
      : options_(options),
        impl_(impl),
        kernels_(kernels),
        pool_(options.threads),
        single_(1),
        problem_(options.shape, options.seed, pool_),
        tensors_(problem_, options.device),
        bounds_(agreement_bounds(options.shape.dtype)),
        cells_(make_key_cells(tiles(), {}, options.shape.prefix, options.shape.suffix)),
        rows_(make_row_groups(tiles(), options.shape.prefix, options.shape.suffix)) {
    set_torch_threads(options_.threads);
    add_dense();
    add_torch_backends();
    if (wants("masses")) add_instrumented_kernel();
    const TokenGrid& grid = options_.shape.grid;
    const int64_t rows_per_tile = default_rows_per_tile(grid);
    if (wants("profile")) add_profile("profile", default_partitions(grid), rows_per_tile);
    if (wants("profile-sampled")) {
      add_profile("profile-sampled", default_partitions(grid), kSampledRowsPerTile);
    }
    if (wants("profile-tiles")) add_profile("profile-tiles", {}, rows_per_tile);
    if (options_.scaling) add_single_thread();
    add_sparse_methods();
  }

  TileGrid tiles() const { return {options_.shape.grid, options_.tile}; }
  const AttentionShape& shape() const { return options_.shape; }

  bool wants(const std::string& method) const {
    return options_.methods.empty() ||
           std::ranges::find(options_.methods, method) != options_.methods.end();
  }

  DenseAttentionParams dense_params(BenchResult& result) const {
    return {.q = tensors_.q(),
            .k = tensors_.k(),
            .v = tensors_.v(),
            .scale = problem_.scale(),
            .out = tensors_.output(result.out()),
            .lse = result.lse(),
            .cells = &cells_,
            .rows = &rows_};
  }

  SparseAttentionParams sparse_params(BenchResult& result, const SparseCase& sparse) const {
    return {.q = tensors_.q(),
            .k = tensors_.k(),
            .v = tensors_.v(),
            .scale = problem_.scale(),
            .out = tensors_.output(result.out()),
            .lse = result.lse(),
            .selection = sparse.lists(),
            .copies = sparse.copies()};
  }

  SparseBackwardParams backward_params(BenchResult& result, const SparseSelection& lists) const {
    return {.q = tensors_.q(),
            .k = tensors_.k(),
            .v = tensors_.v(),
            .out = tensors_.view_fp32(result.out()),
            .d_out = tensors_.d_out(),
            .lse = result.lse(),
            .scale = problem_.scale(),
            .dq = tensors_.output(result.dq()),
            .dk = tensors_.output(result.dk()),
            .dv = tensors_.output(result.dv()),
            .selection = lists,
            .deterministic = options_.deterministic};
  }

  Measurement forward_of(const std::string& method, double deviation) const {
    return {.method = method,
            .threads = options_.threads,
            .flops = shape().dense_flops(),
            .deviation = deviation,
            .bound = bounds_.forward};
  }

  Measurement backward_of(const std::string& method, double deviation) const {
    Measurement measurement = forward_of(method, deviation);
    measurement.pass = Pass::kBackward;
    measurement.flops = shape().dense_backward_flops();
    measurement.bound = bounds_.backward;
    return measurement;
  }

  void add(TimedCandidate candidate) {
    if (options_.device.is_cuda()) candidate.measurement.device_bytes = device_bytes(candidate);
    const Measurement& m = candidate.measurement;
    require_agreement(fmt::format("{}, {}", m.name(), to_string(m.pass)), m.deviation, m.bound);
    candidates_.push_back(std::move(candidate));
  }

  static int64_t device_bytes(const TimedCandidate& candidate) {
    const int64_t before = cuda::begin_memory_count();
    if (candidate.select) candidate.select();
    candidate.attend();
    cuda::synchronize();
    return cuda::most_memory_held() - before;
  }

  // Checked by fp64 arithmetic at sampled tokens, like every selection.
  void add_dense() {
    BenchResult& result = tensors_.new_result(options_.backward);
    dense_ = &result;
    dense_lists_ = dense_lists(shape().batch, shape().heads, shape().tokens);
    kernels_.dense(dense_params(result), pool_);
    if (options_.backward) {
      kernels_.sparse_backward(backward_params(result, dense_lists_.view()), pool_);
    }
    const SampledDeviation found =
        sampled_deviation(problem_, dense_lists_.view(), result.fetched(), pool_);
    add({forward_of("dense", found.forward),
         [this, &result] { kernels_.dense(dense_params(result), pool_); }});
    if (options_.backward) {
      add({backward_of("dense", found.backward), [this, &result] {
             kernels_.sparse_backward(backward_params(result, dense_lists_.view()), pool_);
           }});
    }
  }

  void add_torch_backends() {
    const bool on_gpu = options_.device.is_cuda();
    if (wants("torch")) {
      add_torch("torch", on_gpu ? TorchBackend::kCudnn : TorchBackend::kDefault);
    }
    if (wants("torch-flash") && on_gpu) add_torch("torch-flash", TorchBackend::kFlash);
  }

  double difference(BenchResult& result) const {
    return deviation(result.fetched().out, dense_->fetched().out);
  }

  // The whole tensors of LibTorch and of ours against each other.
  void add_torch(const std::string& method, TorchBackend backend) {
    torch_.push_back(std::make_unique<TorchAttention>(tensors_.q(), tensors_.k(), tensors_.v(),
                                                      options_.device, backend));
    TorchAttention& torch = *torch_.back();
    AttentionResult result;
    result.out.resize(problem_.elements());
    torch.forward(result.out.data());
    add({forward_of(method, deviation(dense_->fetched().out, result.out)),
         [&torch] { torch.forward(nullptr); },
         {},
         true});
    if (!options_.backward) return;
    for (auto* x : {&result.dq, &result.dk, &result.dv}) x->resize(problem_.elements());
    torch.prepare_backward(tensors_.d_out());
    torch.backward(result.dq.data(), result.dk.data(), result.dv.data());
    const AttentionResult& ours = dense_->fetched();
    const double worst = std::max({deviation(ours.dq, result.dq), deviation(ours.dk, result.dk),
                                   deviation(ours.dv, result.dv)});
    add({backward_of(method, worst),
         [&torch] { torch.backward(nullptr, nullptr, nullptr); },
         {},
         true});
  }

  void add_instrumented_kernel() {
    BenchResult& result = tensors_.new_result(false);
    const auto attend = [this, &result] {
      DenseAttentionParams params = dense_params(result);
      if (options_.device.is_cuda()) {
        cuda::dense_attention(params, cuda_body(impl_),
                              {.consume = [](void*, const cuda::MassChunk&, void*) {}});
        return;
      }
      params.sink.consume = [](void*, int, const RowGroupMasses&) {};
      kernels_.dense(params, pool_);
    };
    attend();
    add({forward_of("masses", difference(result)), attend});
  }

  void add_profile(const std::string& method, std::vector<Partition> partitions,
                   int64_t rows_per_tile) {
    BenchResult& result = tensors_.new_result(false);
    hooks_.push_back(
        std::make_unique<ProfilingHook>(ProfilingOptions{.tile = options_.tile,
                                                         .partitions = std::move(partitions),
                                                         .rows_per_tile = rows_per_tile},
                                        impl_, pool_));
    const auto attend = [call = tensors_.call(result.out()), hook = hooks_.back().get()] {
      for (int64_t batch = 0; batch < call.q.batch; ++batch) hook->attend(sample_of(call, batch));
      hook->take();
    };
    attend();
    add({forward_of(method, difference(result)), attend});
  }

  void add_single_thread() {
    BenchResult& result = tensors_.new_result(false);
    kernels_.dense(dense_params(result), single_);
    TimedCandidate candidate{forward_of("dense", difference(result)),
                             [this, &result] { kernels_.dense(dense_params(result), single_); }};
    candidate.measurement.threads = 1;
    add(std::move(candidate));
  }

  void add_sparse_methods() {
    std::vector<Partition> partitions = options_.partitions;
    if (wants("vmoba") && partitions.empty()) {
      const std::optional<Partition> partition = benchmark_partition(shape().grid);
      if (partition) partitions.push_back(*partition);
      if (!partition) notes_.push_back("vmoba: no default partition divides the grid");
    }
    const auto add_all = [&](const std::string& method, auto setting_of) {
      if (!wants(method)) return;
      for (const double density : options_.densities) add_sparse(setting_of(density));
    };
    const int64_t num_tiles = tiles().num_tiles();
    add_all("random", [&](double f) { return random_setting(f, num_tiles); });
    add_all("vsa", [&](double f) { return vsa_setting(f, num_tiles); });
    add_all("bsa", bsa_setting);
    if (wants("bsa")) add_sparse(published_bsa_setting());
    for (const Partition& partition : partitions) {
      const auto setting_of = [&](double f) { return vmoba_setting(f, partition, shape().grid); };
      add_all("vmoba", setting_of);
      if (!wants("vmoba")) continue;
      add_sparse(setting_of(kVmobaDensity));
      add_sparse(vmoba_threshold_setting(kVmobaDensity, partition, tensors_.call(dense_->out()),
                                         impl_, pool_));
    }
  }

  // Settings that come to the same on a small grid are run once.
  bool is_new(const SparseSetting& setting) const {
    return std::ranges::none_of(cases_, [&](const auto& known) {
      return known->setting().method == setting.method &&
             known->setting().parameters == setting.parameters;
    });
  }

  void add_sparse(const SparseSetting& setting) {
    if (!is_new(setting)) return;
    BenchResult& result = tensors_.new_result(options_.backward);
    cases_.push_back(std::make_unique<SparseCase>(tensors_.call(result.out()), options_.tile,
                                                  setting, options_.seed, impl_, pool_));
    SparseCase& sparse = *cases_.back();
    sparse.select();
    kernels_.sparse(sparse_params(result, sparse), pool_);
    if (options_.backward) {
      kernels_.sparse_backward(backward_params(result, sparse.lists()), pool_);
    }
    const SampledDeviation found =
        sampled_deviation(problem_, sparse.host_lists().view(), result.fetched(), pool_);
    const auto complete = [&](Measurement measurement) {
      measurement.parameters = setting.parameters;
      measurement.density = sparse.density();
      measurement.flops *= measurement.density;
      return measurement;
    };
    TimedCandidate forward{
        complete(forward_of(setting.method, found.forward)),
        [this, &result, &sparse] { kernels_.sparse(sparse_params(result, sparse), pool_); }};
    if (sparse.selects()) {
      forward.select = [this, &result, &sparse] {
        sparse.select();
        sparse.restore(tensors_.output(result.out()));
      };
    }
    add(std::move(forward));
    if (options_.backward) {
      add({complete(backward_of(setting.method, found.backward)), [this, &result, &sparse] {
             kernels_.sparse_backward(backward_params(result, sparse.lists()), pool_);
           }});
    }
  }

  const AttentionBenchOptions& options_;
  Impl impl_;
  const AttentionKernels& kernels_;
  ThreadPool pool_, single_;
  AttentionProblem problem_;
  BenchTensors tensors_;
  AgreementBounds bounds_;
  std::vector<std::unique_ptr<TorchAttention>> torch_;
  KeyCells cells_;
  RowGroups rows_;
  BlockLists dense_lists_;
  BenchResult* dense_ = nullptr;
  std::vector<std::unique_ptr<ProfilingHook>> hooks_;
  std::vector<std::unique_ptr<SparseCase>> cases_;
  std::vector<TimedCandidate> candidates_;
  std::vector<std::string> notes_;
};

AttentionCandidates::AttentionCandidates(const AttentionBenchOptions& options, Impl impl,
                                         const AttentionKernels& kernels)
    : state_(std::make_unique<State>(options, impl, kernels)) {}

AttentionCandidates::~AttentionCandidates() = default;

const std::vector<TimedCandidate>& AttentionCandidates::all() const { return state_->candidates_; }
const std::vector<std::string>& AttentionCandidates::notes() const { return state_->notes_; }
ThreadPool& AttentionCandidates::pool() { return state_->pool_; }

}  // namespace sparsescope
