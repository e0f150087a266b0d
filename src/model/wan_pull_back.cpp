#include "model/wan_pull_back.h"

#include <c10/core/GradMode.h>

#include "model/gradient.h"
#include "model/torch_util.h"

namespace sparsescope {
namespace {

// d_out [B, S, H, D] F32 -> gradients with respect to q, k and v, each [B, S, H, D] in their type
std::vector<at::Tensor> attention_gradients(const AttentionTape& tape, int64_t direction,
                                            const at::Tensor& d_out, DifferentiableHook& hook) {
  std::vector<at::Tensor> gradients(3);
  for (at::Tensor& gradient : gradients) gradient = at::empty_like(d_out);
  hook.attend_backward(tape.call, direction, attention_view(d_out), attention_output(gradients[0]),
                       attention_output(gradients[1]), attention_output(gradients[2]));
  for (at::Tensor& gradient : gradients) gradient = gradient.to(tape.q.scalar_type());
  return gradients;
}

}  // namespace

std::vector<at::Tensor> pull_back_part(const at::Tensor& x, const std::vector<at::Tensor>& d_y,
                                       const std::function<at::Tensor(const at::Tensor& x)>& part) {
  const c10::AutoGradMode graph(true);
  const at::Tensor leaf = x.detach().requires_grad_();
  const at::Tensor y = part(leaf);
  std::vector<at::Tensor> d_x;
  for (const at::Tensor& d : d_y) {
    d_x.push_back(gradients_of({y}, {d}, {leaf}, d_x.size() + 1 < d_y.size()).front());
  }
  return d_x;
}

// The graph is cut at attention: out is a leaf, so that one pass gives the gradients with respect
// to out and to x past attention, and a second one carries those of q, k and v on to x.
void pull_back_wan_block(const at::Tensor& x, const WeightMap& weights, WanPass pass,
                         const SiteKey& site, DifferentiableHook& hook,
                         std::vector<at::Tensor>& gradients) {
  const c10::AutoGradMode graph(true);
  const bool first_layer = site.layer == 0;
  const at::Tensor leaf = x.detach().requires_grad_(!first_layer);
  pass.hook = &hook;
  AttentionTape tape;
  const at::Tensor y = run_wan_block(leaf, weights, pass, site, &tape);

  std::vector<at::Tensor> inputs = {tape.out};
  if (!first_layer) inputs.push_back(leaf);
  const auto count = static_cast<int64_t>(gradients.size());
  for (int64_t direction = 0; direction < count; ++direction) {
    at::Tensor& gradient = gradients[static_cast<size_t>(direction)];
    const bool keep_graph = direction + 1 < count;
    const std::vector<at::Tensor> behind = gradients_of({y}, {gradient}, inputs, keep_graph);
    const std::vector<at::Tensor> d_qkv =
        attention_gradients(tape, direction, behind[0].contiguous(), hook);
    if (first_layer) continue;
    gradient =
        behind[1] + gradients_of({tape.q, tape.k, tape.v}, d_qkv, {leaf}, keep_graph).front();
  }
  if (first_layer) gradients.clear();
}

}  // namespace sparsescope
