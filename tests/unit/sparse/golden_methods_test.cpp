// Masks and outputs of public implementations (tests/golden/methods). Masks are exact; a value x
// agrees with y where |x - y| <= r * (m + M), m the largest |y| of its row, M the mean of m.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "checkpoint/safetensors.h"
#include "core/json_io.h"
#include "core/thread_pool.h"
#include "kernels/kernel_table.h"
#include "sparse/bsa_restore.h"
#include "sparse/head_lists.h"
#include "sparse/masks.h"
#include "sparse/top_k.h"
#include "sparse/vsa_selector.h"
#include "unit/sparse/sparse_test_support.h"

namespace sparsescope {
namespace {

class GoldenMethod {
 public:
  GoldenMethod(const std::string& name, const TokenGrid& grid)
      : grid_(grid),
        input_(SafetensorsFile::open(path(name, ".in.safetensors"))),
        expected_(SafetensorsFile::open(path(name, ".expect.safetensors"))),
        info_(read_json_file(path(name, ".json"))) {
    q_ = input_.fetch("q"), k_ = input_.fetch("k"), v_ = input_.fetch("v");
    out_.assign(q_.bytes / (dtype_bits(q_.dtype) / 8), 0.0f);
  }

  AttentionTensor view(const StoredTensor& x) {
    aligned_.emplace_back(x.bytes / 2 + 1);
    std::copy_n(x.data, x.bytes, reinterpret_cast<std::byte*>(aligned_.back().data()));
    return contiguous_attention_tensor(aligned_.back().data(), x.dtype, x.shape[0], x.shape[1],
                                       x.shape[2], x.shape[3]);
  }

  AttentionCall call() {
    AttentionCall call{.grid = grid_, .q = view(q_), .k = view(k_), .v = view(v_)};
    call.scale = 1.0f / std::sqrt(static_cast<float>(call.q.head_dim));
    call.out = contiguous_output(out_.data(), call.q.heads, call.q.tokens, call.q.head_dim);
    return call;
  }

  std::vector<float> run_kernel(const AttentionCall& call, const BlockLists& lists, Impl impl) {
    ThreadPool pool(2);
    attention_kernels(impl).sparse({.q = call.q,
                                    .k = call.k,
                                    .v = call.v,
                                    .scale = call.scale,
                                    .out = call.out,
                                    .selection = lists.view()},
                                   pool);
    return out_;
  }

  std::vector<float> input(const std::string& name) const {
    return to_float(input_.fetch(name), name);
  }
  bool has_input(const std::string& name) const { return input_.find(name) != nullptr; }

  void expect_mask(const std::string& name, const std::vector<uint8_t>& found) const {
    const std::vector<int64_t> expected = to_int64(expected_.fetch(name), name);
    EXPECT_EQ(std::vector<int64_t>(found.begin(), found.end()), expected) << name;
  }

  template <typename Values>
  void expect_values(const std::string& name, const Values& found) const {
    const double rel = info_["tolerance"][name]["rel"].get<double>();
    const StoredTensor stored = expected_.fetch(name);
    const std::vector<float> expected = to_float(stored, name);
    const auto width = static_cast<size_t>(stored.shape.back());
    ASSERT_EQ(found.size(), expected.size());
    std::vector<double> largest(expected.size() / width, 0.0);
    double mean = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      largest[i / width] = std::max(largest[i / width], std::abs(double{expected[i]}));
    }
    for (const double m : largest) mean += m / static_cast<double>(largest.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_LE(std::abs(found[i] - expected[i]), rel * (largest[i / width] + mean))
          << name << " at " << i << ": expected " << expected[i] << ", found " << found[i];
    }
  }

 private:
  static std::string path(const std::string& name, const std::string& ending) {
    return std::string(SPARSESCOPE_TEST_DATA) + "/methods/" + name + ending;
  }

  TokenGrid grid_;
  SafetensorsFile input_, expected_;
  Json info_;
  StoredTensor q_, k_, v_;
  std::vector<std::vector<uint16_t>> aligned_;
  std::vector<float> out_;
};

// Coarse branch in fp64: softmax over all tiles of the mean values, times the gate or 1.
std::vector<double> add_coarse(const GoldenMethod& golden, const TokenLayout& layout,
                               const std::vector<float>& scores, const std::vector<float>& fine) {
  const int64_t num_tiles = layout.num_tiles();
  const int64_t head_dim = static_cast<int64_t>(fine.size()) / layout.tokens();
  const std::vector<float> v = golden.input("v");
  const std::vector<float> gate =
      golden.has_input("gate") ? golden.input("gate") : std::vector<float>(fine.size(), 1.0f);
  std::vector<double> out(fine.begin(), fine.end());
  for (int64_t i = 0; i < num_tiles; ++i) {
    std::vector<double> coarse(head_dim, 0.0);
    double total = 0;
    for (int64_t j = 0; j < num_tiles; ++j) {
      const double weight = std::exp(double{scores[i * num_tiles + j]});
      total += weight;
      for (const int32_t token : layout.tokens_of(j)) {
        for (int64_t d = 0; d < head_dim; ++d) {
          coarse[d] += weight * v[token * head_dim + d] / layout.ranges[j].count;
        }
      }
    }
    for (const int32_t token : layout.tokens_of(i)) {
      for (int64_t d = 0; d < head_dim; ++d) {
        out[token * head_dim + d] += gate[token * head_dim + d] * coarse[d] / total;
      }
    }
  }
  return out;
}

void check_vsa(const std::string& name, const TokenGrid& grid, const TileShape& tile,
               double sparsity) {
  const TokenLayout layout = make_token_layout(TileGrid(grid, tile), 0, 0);
  for (const Impl impl : available_impls()) {
    GoldenMethod golden(name, grid);
    const AttentionCall call = golden.call();
    const VsaSelection selection =
        select_vsa(call.q, call.k, 0, 0, call.scale, layout,
                   top_k_from_sparsity(sparsity, layout.num_tiles()), impl);
    golden.expect_values("scores", selection.scores);
    golden.expect_mask("mask", tile_mask(selection.lists, layout.num_tiles()));
    const HeadLists head = tile_head_lists(layout, selection.lists, 0, 0);
    const auto fine = golden.run_kernel(call, join_lists(layout, {&head, 1}), impl);
    golden.expect_values("out", add_coarse(golden, layout, selection.scores, fine));
  }
}

TEST(GoldenMethods, VsaRaggedWithGate) { check_vsa("vsa_ragged_gate", {5, 5, 6}, {4, 4, 4}, 0.6); }
TEST(GoldenMethods, VsaRoundedCount) {
  check_vsa("vsa_s085_block222", {3, 4, 20}, {2, 2, 2}, 0.85);
}

void check_bsa(const std::string& name, const TokenGrid& grid, const TileShape& tile,
               const BsaOptions& options) {
  const TokenLayout layout = make_token_layout(TileGrid(grid, tile), 0, 0);
  for (const Impl impl : available_impls()) {
    GoldenMethod golden(name, grid);
    const AttentionCall call = golden.call();
    const BsaSelection selection =
        select_bsa(call.q, call.k, 0, 0, call.scale, layout, options, impl);
    golden.expect_mask("kept", kept_mask(layout, selection.kept));
    golden.expect_mask("mask", tile_mask(selection.lists, layout.num_tiles()));
    const HeadLists head = bsa_head_lists(layout, selection, 0, 0);
    golden.run_kernel(call, join_lists(layout, {&head, 1}), impl);
    restore_pruned_rows(selection.restore_from, 0, 0, 0, call.q.head_dim, call.out);
    const float* out = call.out.data;
    golden.expect_values("out", std::vector<float>(out, out + call.q.tokens * call.q.head_dim));
  }
}

TEST(GoldenMethods, BsaEven) {
  check_bsa("bsa_default_even", {4, 4, 16}, {2, 4, 4},
            {.query = {.centre = TileShape{1, 2, 2}}, .kv = {.keep = 0.4, .min_blocks = 1}});
}
TEST(GoldenMethods, BsaRagged) {
  check_bsa("bsa_default_ragged", {5, 5, 7}, {4, 4, 4}, {.kv = {.keep = 0.4, .min_blocks = 2}});
}
TEST(GoldenMethods, BsaFastvideo) {
  BsaOptions options = bsa_fastvideo_options({4, 4, 4});
  options.kv.min_blocks = 1;
  check_bsa("bsa_fastvideo", {4, 8, 8}, {4, 4, 4}, options);
}

void check_vmoba(const std::string& name, const TokenGrid& grid, const VmobaParams& params) {
  const TokenLayout layout = make_token_layout(partition_blocks(params.partition, grid), 0, 0);
  ThreadPool pool(2);
  for (const Impl impl : available_impls()) {
    GoldenMethod golden(name, grid);
    const AttentionCall call = golden.call();
    std::vector<int64_t> heads;
    for (int64_t h = 0; h < call.q.heads; ++h) heads.push_back(h);
    const auto selections = select_vmoba(call.q, call.k, 0, heads, layout, params, impl, pool);
    std::vector<uint8_t> mask;
    std::vector<HeadLists> lists;
    for (const int64_t h : heads) {
      const std::vector<uint8_t> of_head = block_mask(layout, selections[h]);
      mask.insert(mask.end(), of_head.begin(), of_head.end());
      lists.push_back(vmoba_head_lists(layout, selections[h], 0, h));
    }
    golden.expect_mask("mask", mask);
    golden.expect_values("out", golden.run_kernel(call, join_lists(layout, lists), impl));
  }
}

TEST(GoldenMethods, VmobaTemporalTopK) {
  check_vmoba("vmoba_t_topk", {5, 4, 6}, {.partition = parse_partition("temporal:2"), .top_k = 2});
}
TEST(GoldenMethods, VmobaSpatialThresholdByQuery) {
  check_vmoba("vmoba_s_tau_query", {2, 9, 12},
              {.partition = parse_partition("spatial:3,4"),
               .select = VmobaSelect::kThreshold,
               .threshold = 0.5});
}
TEST(GoldenMethods, VmobaCubesThresholdByHead) {
  check_vmoba("vmoba_st_tau_head", {4, 4, 6},
              {.partition = parse_partition("st:2,2,3"),
               .select = VmobaSelect::kThreshold,
               .threshold = 0.25,
               .pool = VmobaPool::kHeadGlobal});
}

}  // namespace
}  // namespace sparsescope
