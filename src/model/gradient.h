// LibTorch's automatic differentiation, whose headers are slow to compile, behind one function.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace sparsescope {

// Gradients of sum_i <outputs[i], d_outputs[i]> with respect to inputs. keep_graph: the outputs
// will be differentiated again.
std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& outputs,
                                     const std::vector<at::Tensor>& d_outputs,
                                     const std::vector<at::Tensor>& inputs, bool keep_graph);

}  // namespace sparsescope
