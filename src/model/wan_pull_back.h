// The way back through Wan: gradients with respect to a part's output become gradients with respect
// to its input, one for each direction. Only the video stream x counts; weights, time, text and
// image are constants.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "model/differentiable_hook.h"
#include "model/wan_block.h"

namespace sparsescope {

// part: x [B, S, C] -> y, run once with its graph; d_y, each of y's shape -> d_x, each [B, S, C]
std::vector<at::Tensor> pull_back_part(const at::Tensor& x, const std::vector<at::Tensor>& d_y,
                                       const std::function<at::Tensor(const at::Tensor& x)>& part);

// x [B, S, C]: the block's input. Runs the block with hook as attention and hands it the gradient
// of every direction. gradients, each [B, S, C]: with respect to the block's output, afterwards to
// x; those of layer 0, which nobody needs, are dropped.
void pull_back_wan_block(const at::Tensor& x, const WeightMap& weights, WanPass pass,
                         const SiteKey& site, DifferentiableHook& hook,
                         std::vector<at::Tensor>& gradients);

}  // namespace sparsescope
