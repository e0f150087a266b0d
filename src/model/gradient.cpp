#include "model/gradient.h"

#include <torch/csrc/autograd/autograd.h>

namespace sparsescope {

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& outputs,
                                     const std::vector<at::Tensor>& d_outputs,
                                     const std::vector<at::Tensor>& inputs, bool keep_graph) {
  return torch::autograd::grad(outputs, inputs, d_outputs, keep_graph);
}

}  // namespace sparsescope
