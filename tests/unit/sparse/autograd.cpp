#include "unit/sparse/autograd.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <limits>

namespace sparsescope::testing {
namespace {

// x [B, H, S, D] in fp64, with gradients.
at::Tensor leaf(const Qkv& x, const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()), {x.batch, x.heads, x.tokens, x.head_dim},
                       at::kFloat)
      .to(at::kDouble)
      .requires_grad_(true);
}

std::vector<double> values_of(const at::Tensor& tensor) {
  const at::Tensor x = tensor.detach().contiguous();
  return {x.data_ptr<double>(), x.data_ptr<double>() + x.numel()};
}

at::Tensor indices(const std::vector<int64_t>& values) {
  return at::from_blob(const_cast<int64_t*>(values.data()), {static_cast<int64_t>(values.size())},
                       at::kLong)
      .clone();
}

struct Leaves {
  explicit Leaves(const AttendProblem& problem)
      : q(leaf(problem.x, problem.x.q)),
        k(leaf(problem.x, problem.x.k)),
        v(leaf(problem.x, problem.x.v)) {
    if (!problem.gate.empty()) gate = leaf(problem.x, problem.gate);
  }

  at::Tensor q, k, v, gate;  // [B, H, S, D]
};

// The output that forward makes of the leaves, and the gradients for the problem's d_out.
Truth differentiate(const AttendProblem& problem,
                    const std::function<at::Tensor(const Leaves&)>& forward) {
  at::set_num_threads(1);  // threads that wait in a spin slow down tests that run side by side
  const Leaves leaves(problem);
  const at::Tensor out = forward(leaves);
  std::vector<at::Tensor> inputs = {leaves.q, leaves.k, leaves.v};
  if (leaves.gate.defined()) inputs.push_back(leaves.gate);
  const auto gradients = torch::autograd::grad(
      {out}, inputs, {leaf(problem.x, problem.d_out).detach()}, /*retain_graph=*/std::nullopt,
      /*create_graph=*/false, /*allow_unused=*/true);
  Truth truth{{"out", values_of(out)}};
  const char* const names[] = {"dq", "dk", "dv", "dgate"};
  for (size_t i = 0; i < gradients.size(); ++i) {
    const bool used = gradients[i].defined();
    truth[names[i]] = values_of(used ? gradients[i] : at::zeros_like(inputs[i]));
  }
  return truth;
}

// attends [B, H, S, S] bool. A row without a key gets output 0.
at::Tensor masked_attention(const Leaves& x, const at::Tensor& attends, double scale) {
  const at::Tensor logits = at::matmul(x.q, x.k.transpose(-1, -2)) * scale;
  const at::Tensor empty = attends.any(-1, /*keepdim=*/true).logical_not();
  const at::Tensor barred = attends.logical_or(empty).logical_not();
  const at::Tensor probs =
      at::softmax(logits.masked_fill(barred, -std::numeric_limits<double>::infinity()), -1);
  return at::matmul(probs.masked_fill(empty, 0.0), x.v);
}

// [S_video] the block of each video token in raster order.
at::Tensor block_of_token(const TileGrid& blocks) {
  std::vector<int64_t> ids(blocks.grid().tokens());
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = blocks.tile_of_token(static_cast<int64_t>(i));
  }
  return indices(ids);
}

// The run's mask over pairs of tokens, text included: [B, H, S, S].
at::Tensor attends_to(const AttendProblem& problem, const AttendRun& run) {
  const Qkv& x = problem.x;
  const int64_t video = problem.grid.tokens();
  at::Tensor attends = at::ones({x.batch, x.heads, x.tokens, x.tokens}, at::kBool);
  if (!run.plan) return attends;
  const TileGrid blocks(problem.grid, run.plan->block);
  const bool by_row = run.plan->method == Method::kVmoba;
  const std::vector<uint8_t>& mask = run.masks.at("mask");
  const at::Tensor ids = block_of_token(blocks);
  at::Tensor pairs =
      at::from_blob(const_cast<uint8_t*>(mask.data()),
                    {x.batch, x.heads, by_row ? video : blocks.num_tiles(), blocks.num_tiles()},
                    at::kByte)
          .to(at::kBool)
          .index_select(3, ids);
  if (!by_row) pairs = pairs.index_select(2, ids);
  attends.narrow(2, problem.prefix, video).narrow(3, problem.prefix, video).copy_(pairs);
  return attends;
}

// Every pruned row takes the row that stands in for it.
at::Tensor restored(const AttendProblem& problem, const BlockPlan& plan, const at::Tensor& rows) {
  const Qkv& x = problem.x;
  const int64_t video = problem.grid.tokens();
  std::vector<int64_t> sources;  // [B, H, S]
  for (int64_t item = 0; item < x.batch * x.heads; ++item) {
    for (int64_t token = 0; token < x.tokens; ++token) {
      const int64_t raster = token - problem.prefix;
      const bool is_video = raster >= 0 && raster < video;
      sources.push_back(is_video ? plan.lists.restore_from[item * video + raster] : token);
    }
  }
  const at::Tensor from = indices(sources).view({x.batch, x.heads, x.tokens, 1});
  return at::gather(rows, 2, from.clamp_min(0).expand_as(rows)).masked_fill(from < 0, 0.0);
}

// gate * softmax(scale Qc Kc^T) Vc on the rows of every tile.
at::Tensor coarse_branch(const AttendProblem& problem, const TileShape& block, const Leaves& x) {
  const TileGrid tiles(problem.grid, block);
  const int64_t video = problem.grid.tokens();
  const at::Tensor ids = block_of_token(tiles);
  at::Tensor averages = at::zeros({tiles.num_tiles(), problem.x.tokens}, at::kDouble);
  averages.narrow(1, problem.prefix, video).scatter_(0, ids.unsqueeze(0), 1.0);
  averages = averages / averages.sum(1, /*keepdim=*/true);
  const auto means = [&](const at::Tensor& rows) { return at::matmul(averages, rows); };
  const at::Tensor logits = at::matmul(means(x.q), means(x.k).transpose(-1, -2)) * problem.scale();
  const at::Tensor coarse = at::matmul(at::softmax(logits, -1), means(x.v));
  const at::Tensor rows =
      at::constant_pad_nd(coarse.index_select(2, ids), {0, 0, problem.prefix, problem.suffix});
  return x.gate.defined() ? rows * x.gate : rows;
}

}  // namespace

Truth autograd_attend(const AttendProblem& problem, const AttendRun& run) {
  return differentiate(problem, [&](const Leaves& x) {
    at::Tensor out = masked_attention(x, attends_to(problem, run), problem.scale());
    if (run.plan && run.plan->method == Method::kBsa) out = restored(problem, *run.plan, out);
    if (run.plan && run.plan->method == Method::kVsa) {
      out = out + coarse_branch(problem, run.plan->block, x);
    }
    return out;
  });
}

const Truth& TruthOf::operator()(const AttendRun& run) {
  const auto sources = [](const AttendRun& r) {
    return r.plan ? r.plan->lists.restore_from : std::vector<int32_t>{};
  };
  if (!run_ || run_->masks != run.masks || sources(*run_) != sources(run)) {
    run_ = run;
    truth_ = autograd_attend(problem_, run);
  }
  return truth_;
}

void expect_truth(const AttendRun& run, const Truth& truth, const Tolerance& tolerance) {
  for (const auto& [name, expected] : truth) {
    ASSERT_TRUE(run.floats.contains(name)) << name;
    EXPECT_TRUE(near(run.floats.at(name), expected, tolerance)) << name;
  }
}

Truth autograd_masked(const AttendProblem& problem, const std::vector<uint8_t>& attends) {
  const Qkv& shape = problem.x;
  const at::Tensor mask =
      at::from_blob(const_cast<uint8_t*>(attends.data()),
                    {shape.batch, shape.heads, shape.tokens, shape.tokens}, at::kByte)
          .to(at::kBool);
  return differentiate(problem,
                       [&](const Leaves& x) { return masked_attention(x, mask, problem.scale()); });
}

Truth autograd_coarse(const AttendProblem& problem, const TileShape& block) {
  return differentiate(problem, [&](const Leaves& x) { return coarse_branch(problem, block, x); });
}

}  // namespace sparsescope::testing
