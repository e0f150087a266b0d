#include "sparse/attend.h"

#include <cmath>
#include <memory>
#include <utility>

#include "core/error.h"
#include "kernels/kernel_table.h"
#include "sparse/bsa_restore.h"
#include "sparse/call_selection.h"
#include "sparse/dense_call.h"
#include "sparse/vsa_coarse.h"

namespace sparsescope {
namespace {

constexpr int64_t kMaxHeadDim = 256;  // of the kernels

std::vector<int64_t> shape_of(const AttentionTensor& x) {
  return {x.batch, x.heads, x.tokens, x.head_dim};
}

void check_inputs(const AttendInputs& inputs, const TokenGrid& grid, int64_t prefix, int64_t suffix,
                  bool backward) {
  const std::vector<int64_t> shape = shape_of(inputs.q);
  const auto check_shape = [&](const char* name, const AttentionTensor& x) {
    SPARSESCOPE_CHECK(ErrorKind::kData, shape_of(x) == shape,
                      "{}: {}: expected the shape of q, {}, found {}", inputs.source, name,
                      shape_to_string(shape), shape_to_string(shape_of(x)));
  };
  check_shape("k", inputs.k);
  check_shape("v", inputs.v);
  if (inputs.gate) check_shape("gate", *inputs.gate);
  if (inputs.d_out) check_shape("d_out", *inputs.d_out);
  const int64_t tokens = prefix + grid.tokens() + suffix;
  SPARSESCOPE_CHECK(ErrorKind::kData,
                    inputs.q.batch > 0 && inputs.q.heads > 0 && inputs.q.tokens == tokens &&
                        inputs.q.head_dim > 0 && inputs.q.head_dim <= kMaxHeadDim,
                    "{}: q: expected [B, H, {}, D up to {}] for the grid {} with {} text tokens "
                    "before and {} behind it, found {}",
                    inputs.source, tokens, kMaxHeadDim, to_string(grid), prefix, suffix,
                    shape_to_string(shape));
  SPARSESCOPE_CHECK(ErrorKind::kUsage, !backward || inputs.d_out,
                    "--backward: expected the gradient d_out in {}, found none", inputs.source);
}

// The arrays of one call and the steps that fill them.
class Attention {
 public:
  Attention(const AttendInputs& inputs, bool deterministic, Impl impl, ThreadPool& pool)
      : in_(inputs),
        deterministic_(deterministic),
        kernels_(attention_kernels(impl)),
        impl_(impl),
        pool_(pool),
        scale_(1.0f / std::sqrt(static_cast<float>(inputs.q.head_dim))),
        out_(size()),
        lse_(inputs.q.batch * inputs.q.heads * inputs.q.tokens) {}

  AttendResult run_dense(const AttendRequest& request, const DenseSettings& settings) {
    const DenseCall call{in_.q, in_.k, in_.v, scale_, request.grid, request.prefix, request.suffix};
    std::vector<float> mass =
        run_dense_call(call, settings.mass_block, view(out_), lse_.data(), impl_, pool_);
    if (request.backward) {
      run_backward(dense_lists(in_.q.batch, in_.q.heads, in_.q.tokens), *in_.d_out);
    }
    AttendResult result{finish(), {}};
    result.outputs.push_back({"lse", {in_.q.batch, in_.q.heads, in_.q.tokens}, std::move(lse_)});
    if (settings.mass_block) {
      const int64_t num_tiles = TileGrid(request.grid, *settings.mass_block).num_tiles();
      result.outputs.push_back(
          {"mass", {in_.q.batch, in_.q.heads, num_tiles, num_tiles}, std::move(mass)});
    }
    return result;
  }

  AttendResult run_plan(BlockPlan plan, bool backward) {
    kernels_.sparse({.q = in_.q,
                     .k = in_.k,
                     .v = in_.v,
                     .scale = scale_,
                     .out = view(out_),
                     .lse = lse_.data(),
                     .selection = plan.lists.view()},
                    pool_);
    if (plan.method == Method::kBsa) {
      if (backward) run_restored_backward(plan);
      restore(plan);
    } else {
      if (backward) run_backward(plan.lists, *in_.d_out);
    }
    if (plan.method == Method::kVsa) run_coarse(plan.layout(), backward);
    return {finish(), std::move(plan)};
  }

 private:
  int64_t size() const { return in_.q.batch * in_.q.heads * in_.q.tokens * in_.q.head_dim; }

  MutableAttentionTensor view(std::vector<float>& x) const {
    return contiguous_output(x.data(), in_.q.heads, in_.q.tokens, in_.q.head_dim);
  }

  AttentionTensor read_only(const std::vector<float>& x) const {
    return contiguous_attention_tensor(x.data(), Dtype::kF32, in_.q.batch, in_.q.heads,
                                       in_.q.tokens, in_.q.head_dim);
  }

  // body(batch, head), in parallel.
  template <typename Body>
  void for_heads(Body body) {
    pool_.parallel_for(in_.q.batch * in_.q.heads,
                       [&](int64_t item, int) { body(item / in_.q.heads, item % in_.q.heads); });
  }

  // Of the rows that the lists compute; out_ holds what the kernel wrote, and nothing else.
  void run_backward(const BlockLists& lists, const AttentionTensor& d_out) {
    for (auto* gradient : {&dq_, &dk_, &dv_}) gradient->resize(size());
    kernels_.sparse_backward({.q = in_.q,
                              .k = in_.k,
                              .v = in_.v,
                              .out = read_only(out_),
                              .d_out = d_out,
                              .lse = lse_.data(),
                              .scale = scale_,
                              .dq = view(dq_),
                              .dk = view(dk_),
                              .dv = view(dv_),
                              .selection = lists.view(),
                              .deterministic = deterministic_},
                             pool_);
  }

  static std::span<const int32_t> sources_of(const BlockPlan& plan, int64_t batch, int64_t head) {
    const int64_t video = plan.grid.tokens();
    return std::span(plan.lists.restore_from).subspan((batch * plan.heads + head) * video, video);
  }

  void run_restored_backward(const BlockPlan& plan) {
    std::vector<float> d_kept(size());
    for_heads([&](int64_t batch, int64_t head) {
      gather_restored_gradients(sources_of(plan, batch, head), plan.prefix, batch, head, *in_.d_out,
                                view(d_kept));
    });
    run_backward(plan.lists, read_only(d_kept));
  }

  void restore(const BlockPlan& plan) {
    for_heads([&](int64_t batch, int64_t head) {
      restore_pruned_rows(sources_of(plan, batch, head), plan.prefix, batch, head, in_.q.head_dim,
                          view(out_));
    });
  }

  void run_coarse(const TokenLayout& layout, bool backward) {
    if (backward && in_.gate) dgate_.resize(size());
    for_heads([&](int64_t batch, int64_t head) {
      const VsaCoarseCall call{.q = in_.q,
                               .k = in_.k,
                               .v = in_.v,
                               .gate = in_.gate ? &*in_.gate : nullptr,
                               .scale = scale_,
                               .batch = batch,
                               .head = head,
                               .layout = &layout,
                               .impl = impl_};
      const Matrix coarse = vsa_coarse_output(call);
      add_vsa_coarse(call, coarse, view(out_));
      if (!backward) return;
      add_vsa_coarse_gradients(call, *in_.d_out, view(dq_), view(dk_), view(dv_));
      if (in_.gate) write_vsa_gate_gradient(call, coarse, *in_.d_out, view(dgate_));
    });
  }

  std::vector<NamedArray> finish() {
    std::vector<NamedArray> outputs;
    const std::pair<const char*, std::vector<float>*> arrays[] = {
        {"out", &out_}, {"dq", &dq_}, {"dk", &dk_}, {"dv", &dv_}, {"dgate", &dgate_}};
    for (const auto& [name, values] : arrays) {
      if (!values->empty()) outputs.push_back({name, shape_of(in_.q), std::move(*values)});
    }
    return outputs;
  }

  const AttendInputs& in_;
  bool deterministic_;
  const AttentionKernels& kernels_;
  Impl impl_;
  ThreadPool& pool_;
  float scale_;
  std::vector<float> out_;                   // [B, H, S, D]
  std::vector<float> lse_;                   // [B, H, S]
  std::vector<float> dq_, dk_, dv_, dgate_;  // [B, H, S, D], empty where not asked for
};

template <typename Settings>
AttendResult attend_by_method(const AttendInputs& inputs, const AttendRequest& request,
                              const Settings& settings, Impl impl, ThreadPool& pool) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(inputs.q.head_dim));
  CallSelection selection =
      select_call({inputs.q, inputs.k, scale, request.grid, request.prefix, request.suffix, impl},
                  settings, pool);
  AttendResult result = Attention(inputs, request.deterministic, impl, pool)
                            .run_plan(std::move(selection.plan), request.backward);
  for (NamedArray& record : selection.records) result.outputs.push_back(std::move(record));
  return result;
}

}  // namespace

AttendResult attend(const AttendInputs& inputs, const AttendRequest& request, Impl impl,
                    ThreadPool& pool) {
  check_inputs(inputs, request.grid, request.prefix, request.suffix, request.backward);
  if (const auto* dense = std::get_if<DenseSettings>(&request.method)) {
    return Attention(inputs, request.deterministic, impl, pool).run_dense(request, *dense);
  }
  if (const auto* vsa = std::get_if<VsaSettings>(&request.method)) {
    return attend_by_method(inputs, request, *vsa, impl, pool);
  }
  if (const auto* bsa = std::get_if<BsaSettings>(&request.method)) {
    return attend_by_method(inputs, request, *bsa, impl, pool);
  }
  return attend_by_method(inputs, request, std::get<VmobaOptions>(request.method), impl, pool);
}

AttendResult attend_by_plan(const AttendInputs& inputs, BlockPlan plan, bool backward, Impl impl,
                            ThreadPool& pool, bool deterministic) {
  check_inputs(inputs, plan.grid, plan.prefix, plan.suffix, backward);
  SPARSESCOPE_CHECK(ErrorKind::kData, inputs.q.batch == plan.batch && inputs.q.heads == plan.heads,
                    "{}: q: expected batch {} and {} heads as in the plan, found {}", inputs.source,
                    plan.batch, plan.heads, shape_to_string(shape_of(inputs.q)));
  return Attention(inputs, deterministic, impl, pool).run_plan(std::move(plan), backward);
}

}  // namespace sparsescope
