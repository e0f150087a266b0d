// Loaded weights of one part of a model, under their names relative to that part.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "checkpoint/state_dict.h"
#include "model/wan_schema.h"

namespace sparsescope {

class WeightMap {
 public:
  // Fetches prefix + name for every spec, applies fp8 scales, converts to compute (F32 where the
  // spec keeps it).
  static WeightMap load(const StateDict& weights, const WeightSpecs& specs,
                        const std::string& prefix, at::ScalarType compute);

  const at::Tensor& at(const std::string& name) const;
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  bool empty() const { return tensors_.empty(); }
  WeightMap moved_to(at::Device device) const;
  WeightMap pinned() const;  // in page-locked host memory
  // Copies the values of a map of the same tensors; between a GPU and page-locked memory the copy
  // is only queued on the current stream.
  void assign(const WeightMap& other);
  // x W^T + b in the weight's type.
  at::Tensor linear(const at::Tensor& x, const std::string& name) const;

 private:
  std::map<std::string, at::Tensor> tensors_;
};

// Memory of the loaded weights.
int64_t weight_bytes(const WeightSpecs& specs, at::ScalarType compute);

}  // namespace sparsescope
