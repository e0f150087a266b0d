#include "cuda/sparse_case.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <span>
#include <utility>

#include "kernels/cuda/device_lists.h"

namespace sparsescope::testing {
namespace {

// The pairs of cells that a row chose.
std::vector<int32_t> pairs_of_row(int32_t head, int32_t row, int32_t num_pairs) {
  std::vector<int32_t> pairs;
  for (int32_t pair = 0; pair < num_pairs; ++pair) {
    if (uniform(1000 * head + pair, row) < 0.3) pairs.push_back(pair);
  }
  return pairs;
}

std::vector<int32_t> cells_of_pair(int32_t pair, int32_t num_ranges) {
  if (2 * pair + 1 == num_ranges) return {2 * pair};
  return {2 * pair, 2 * pair + 1};
}

bool in_no_item(int32_t row) { return row % 5 == 0; }

template <typename T>
const T* copied(const std::vector<T>& values, cuda::DeviceBuffer<T>& to) {
  to = cuda::to_device(values, nullptr);
  return to.data();
}

}  // namespace

ListsOnDevice::ListsOnDevice(const Lists& lists) : view_(lists.view()) {
  view_.key_order = copied(lists.key_order, key_order_);
  view_.ranges = copied(lists.ranges, ranges_);
  view_.rows = copied(lists.rows, rows_);
  view_.range_ids = copied(lists.range_ids, range_ids_);
  view_.items = copied(lists.items, items_);
  view_.strands = copied(lists.strands, strands_);
  view_.space = MemorySpace::kDevice;
}

namespace {

int64_t num_rows(const Shape& shape) { return shape.batch * shape.heads * shape.tokens(); }

AttentionTensor view_of(const void* data, Dtype dtype, const Shape& shape) {
  return contiguous_attention_tensor(data, dtype, shape.batch, shape.heads, shape.tokens(),
                                     shape.head_dim);
}

MutableAttentionTensor to(std::vector<float>& x, const Shape& shape) {
  return contiguous_output(x.data(), shape.heads, shape.tokens(), shape.head_dim);
}

// Moves tensors to the device and brings results back.
class OnDevice {
 public:
  void move(AttentionTensor& x) {
    const std::span bytes(static_cast<const uint8_t*>(x.data),
                          x.batch * x.heads * x.tokens * x.head_dim * dtype_bits(x.dtype) / 8);
    inputs_.push_back(cuda::to_device(bytes, nullptr));
    x.data = inputs_.back().data();
    x.space = MemorySpace::kDevice;
  }
  float* move(std::vector<float>& values) {
    results_.push_back({&values, cuda::to_device(values, nullptr)});
    return results_.back().second.data();
  }
  void move(MutableAttentionTensor& x, std::vector<float>& values) {
    x.data = move(values);
    x.space = MemorySpace::kDevice;
  }
  void bring_back() {
    for (auto& [host, device] : results_) *host = cuda::to_host(device, nullptr);
  }

 private:
  std::vector<cuda::DeviceBuffer<uint8_t>> inputs_;
  std::vector<std::pair<std::vector<float>*, cuda::DeviceBuffer<float>>> results_;
};

SparseBackwardParams backward_params(const Problem& problem, const Lists& lists,
                                     const std::vector<uint8_t>& d_out, Gradients& result) {
  const Shape& shape = problem.shape();
  for (auto* x : {&result.dq, &result.dk, &result.dv}) {
    x->assign(num_rows(shape) * shape.head_dim, kUntouched);
  }
  SparseBackwardParams params{.q = problem.q(), .k = problem.k(), .v = problem.v()};
  params.d_out = view_of(d_out.data(), problem.q().dtype, shape);
  params.scale = problem.scale();
  params.dq = to(result.dq, shape);
  params.dk = to(result.dk, shape);
  params.dv = to(result.dv, shape);
  params.selection = lists.view();
  return params;
}

}  // namespace

SparseResult run_cuda_sparse(const Problem& problem, const Lists& lists, MemorySpace space,
                             int64_t wave_bytes, cuda::Body body, const RowCopies& copies) {
  const Shape& shape = problem.shape();
  SparseResult result;
  result.out.assign(num_rows(shape) * shape.head_dim, kUntouched);
  result.lse.assign(num_rows(shape), kUntouched);
  SparseAttentionParams params{.q = problem.q(), .k = problem.k(), .v = problem.v()};
  params.scale = problem.scale();
  params.out = to(result.out, shape);
  params.lse = result.lse.data();
  params.selection = lists.view();
  params.copies = copies;
  if (space == MemorySpace::kHost) {
    cuda::run_sparse_attention(params, wave_bytes, body);
    return result;
  }
  const ListsOnDevice on_device(lists);
  params.selection = on_device.view();
  const cuda::DeviceCopies device_copies(copies, MemorySpace::kHost, nullptr);
  params.copies = device_copies.view();
  OnDevice tensors;
  for (AttentionTensor* x : {&params.q, &params.k, &params.v}) tensors.move(*x);
  tensors.move(params.out, result.out);
  params.lse = tensors.move(result.lse);
  cuda::run_sparse_attention(params, wave_bytes, body);
  tensors.bring_back();
  return result;
}

std::vector<uint8_t> draw_d_out(const Problem& problem) {
  const Shape& shape = problem.shape();
  const Dtype dtype = problem.q().dtype;
  const int64_t count = num_rows(shape) * shape.head_dim, size = dtype_bits(dtype) / 8;
  std::vector<uint8_t> bytes(count * size);
  for (int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(normal(77, i) * (uniform(78, i) < 0.02 ? 10 : 1));
    const uint16_t half = dtype == Dtype::kF16 ? float_to_f16(value) : float_to_bf16(value);
    if (dtype == Dtype::kF32) {
      std::memcpy(&bytes[i * size], &value, size);
    } else {
      std::memcpy(&bytes[i * size], &half, size);
    }
  }
  return bytes;
}

Gradients run_reference_backward(const Problem& problem, const Lists& lists,
                                 const std::vector<uint8_t>& d_out) {
  Gradients result;
  ThreadPool pool(2);
  attention_kernels(Impl::kReference)
      .sparse_backward(backward_params(problem, lists, d_out, result), pool);
  return result;
}

Gradients run_cuda_backward(const Problem& problem, const Lists& lists, const SparseResult& forward,
                            const std::vector<uint8_t>& d_out, BackwardKernels kernels,
                            MemorySpace space, int64_t wave_bytes) {
  Gradients result;
  SparseBackwardParams params = backward_params(problem, lists, d_out, result);
  params.deterministic = kernels.deterministic;
  params.out = view_of(forward.out.data(), Dtype::kF32, problem.shape());
  params.lse = forward.lse.data();
  if (space == MemorySpace::kHost) {
    cuda::run_sparse_backward(params, wave_bytes, kernels.body);
    return result;
  }
  const ListsOnDevice on_device(lists);
  params.selection = on_device.view();
  OnDevice tensors;
  for (AttentionTensor* x : {&params.q, &params.k, &params.v, &params.out, &params.d_out}) {
    tensors.move(*x);
  }
  std::vector<float> lse = forward.lse;
  params.lse = tensors.move(lse);
  tensors.move(params.dq, result.dq);
  tensors.move(params.dk, result.dk);
  tensors.move(params.dv, result.dv);
  cuda::run_sparse_backward(params, wave_bytes, kernels.body);
  tensors.bring_back();
  return result;
}

std::vector<int32_t> rows_of(const Problem& problem, const RowBlock& block) {
  const auto first = problem.rows().order.begin() + block.first;
  return {first, first + block.count};
}

Lists tile_lists(const Problem& problem) {
  Lists lists = lists_over_cells(problem);
  for (int32_t b = 0; b < problem.shape().batch; ++b) {
    for (int32_t h = 0; h < problem.shape().heads; ++h) {
      for (const RowBlock& block : problem.rows().blocks) {
        const size_t key = lists.items.size();
        const double density = uniform(key, 1000003);
        std::vector<int32_t> chosen;
        for (int32_t i = 0; i < static_cast<int32_t>(lists.ranges.size()); ++i) {
          if (uniform(key, i) < density - 0.15) chosen.push_back(i);
        }
        lists.add_strand(b, h, false);
        const std::vector<int32_t> rows = rows_of(problem, block);
        for (size_t at = 0, n = 1 + key % 64; at < rows.size(); at += n) {
          const size_t end = std::min(rows.size(), at + n);
          const std::vector<int32_t> of_item(rows.begin() + at, rows.begin() + end);
          at == 0 ? lists.add_item(of_item, chosen) : lists.add_item_beside(of_item);
        }
      }
    }
  }
  return lists;
}

Lists short_lists(const Problem& problem) {
  const Lists tall = tile_lists(problem);
  Lists lists = lists_over_cells(problem);
  size_t key = 0;
  for (const SparseStrand& strand : tall.strands) {
    lists.add_strand(strand.batch, strand.head, false);
    for (int32_t i = 0; i < strand.num_items; ++i) {
      const SparseItem& item = tall.items[strand.first_item + i];
      const auto ids = tall.range_ids.begin() + item.first_range;
      for (int32_t at = 0; at < item.num_rows;) {
        const int32_t n = key++ % 2 == 0 ? 32 : 1 + static_cast<int32_t>(key) % 32;
        const int32_t end = std::min(item.num_rows, at + n);
        const auto rows = tall.rows.begin() + item.first_row;
        lists.add_item({rows + at, rows + end}, {ids, ids + item.num_ranges});
        at = end;
      }
    }
  }
  return lists;
}

RowCopies KeptLists::copies() const {
  return {std::ssize(first_copy) - 1, first_copy.data(), copy_tokens.data()};
}

SparseResult KeptLists::restored(const Problem& problem, const SparseResult& kept) const {
  const Shape& shape = problem.shape();
  SparseResult result = kept;
  for (const SparseStrand& strand : lists.strands) {
    const int64_t head = (strand.batch * shape.heads + strand.head) * shape.tokens();
    const auto row_of = [&](int64_t token) { return (head + token) * shape.head_dim; };
    for (int32_t i = 0; i < strand.num_items; ++i) {
      const SparseItem& item = lists.items[strand.first_item + i];
      for (int32_t row = item.first_row; row < item.first_row + item.num_rows; ++row) {
        const auto from = kept.out.begin() + row_of(lists.rows[row]);
        for (int32_t copy = first_copy[row]; copy < first_copy[row + 1]; ++copy) {
          std::copy_n(from, shape.head_dim, result.out.begin() + row_of(copy_tokens[copy]));
        }
      }
    }
  }
  return result;
}

KeptLists kept_lists(const Problem& problem) {
  KeptLists kept{.lists = lists_over_cells(problem)};
  Lists& lists = kept.lists;
  for (int32_t b = 0; b < problem.shape().batch; ++b) {
    for (int32_t h = 0; h < problem.shape().heads; ++h) {
      for (const RowBlock& block : problem.rows().blocks) {
        const size_t key = lists.items.size();
        std::vector<int32_t> chosen;
        for (int32_t i = 0; i < static_cast<int32_t>(lists.ranges.size()); ++i) {
          if (uniform(key, i) < 0.4) chosen.push_back(i);
        }
        std::vector<int32_t> rows, pruned;
        const std::vector<int32_t> of_block = rows_of(problem, block);
        std::partition_copy(of_block.begin(), of_block.end(), std::back_inserter(rows),
                            std::back_inserter(pruned),
                            [](int32_t token) { return token % 2 == 0; });
        if (rows.empty()) continue;
        lists.add_strand(b, h, false);
        for (size_t at = 0; at < rows.size(); at += 32) {
          const size_t end = std::min(rows.size(), at + 32);
          lists.add_item({rows.begin() + at, rows.begin() + end}, chosen);
        }
        std::vector<std::vector<int32_t>> takers(rows.size());
        for (const int32_t token : pruned) {
          takers[static_cast<size_t>(uniform(key + 1, token) * uniform(key, token) * rows.size())]
              .push_back(token);
        }
        for (const std::vector<int32_t>& of_row : takers) {
          kept.copy_tokens.insert(kept.copy_tokens.end(), of_row.begin(), of_row.end());
          kept.first_copy.push_back(static_cast<int32_t>(kept.copy_tokens.size()));
        }
      }
    }
  }
  return kept;
}

Lists merged_lists(const Problem& problem) {
  Lists lists = lists_over_cells(problem);
  const auto tokens = static_cast<int32_t>(problem.shape().tokens());
  const auto num_ranges = static_cast<int32_t>(lists.ranges.size());
  const int32_t num_pairs = (num_ranges + 1) / 2;
  for (int32_t h = 0; h < problem.shape().heads; ++h) {
    lists.add_strand(0, h, true);
    std::vector<std::vector<int32_t>> rows_of_pair(num_pairs);
    for (int32_t row = 0; row < tokens; ++row) {
      if (in_no_item(row)) continue;
      const std::vector<int32_t> pairs = pairs_of_row(h, row, num_pairs);
      for (const int32_t pair : pairs) rows_of_pair[pair].push_back(row);
      if (pairs.empty()) lists.add_item({row}, {});
    }
    for (int32_t pair = 0; pair < num_pairs; ++pair) {
      const std::vector<int32_t>& rows = rows_of_pair[pair];
      for (size_t at = 0; at < rows.size(); at += kRowLanes) {
        const size_t end = std::min(rows.size(), at + kRowLanes);
        const std::vector<int32_t> of_item(rows.begin() + at, rows.begin() + end);
        at == 0 ? lists.add_item(of_item, cells_of_pair(pair, num_ranges))
                : lists.add_item_beside(of_item);
      }
    }
  }
  return lists;
}

Lists unmerged_lists(const Problem& problem) {
  Lists lists = lists_over_cells(problem);
  const auto num_ranges = static_cast<int32_t>(lists.ranges.size());
  for (int32_t h = 0; h < problem.shape().heads; ++h) {
    for (int32_t row = 0; row < static_cast<int32_t>(problem.shape().tokens()); ++row) {
      if (in_no_item(row)) continue;
      std::vector<int32_t> ranges;
      for (const int32_t pair : pairs_of_row(h, row, (num_ranges + 1) / 2)) {
        for (const int32_t range : cells_of_pair(pair, num_ranges)) ranges.push_back(range);
      }
      lists.add_strand(0, h, false);
      lists.add_item({row}, ranges);
    }
  }
  return lists;
}

}  // namespace sparsescope::testing
