#include "capture/record_hook.h"

#include <algorithm>
#include <utility>

#include "core/dtype.h"
#include "core/error.h"

namespace sparsescope {
namespace {

template <typename Element, typename Convert>
HostTensor copy_elements(const AttentionTensor& x, Convert&& convert) {
  HostTensor copy = HostTensor::zeros({x.batch, x.heads, x.tokens, x.head_dim});
  const auto* data = static_cast<const Element*>(x.data);
  float* out = copy.values.data();
  for (int64_t b = 0; b < x.batch; ++b) {
    for (int64_t h = 0; h < x.heads; ++h) {
      for (int64_t s = 0; s < x.tokens; ++s) {
        const Element* row = data + b * x.stride_batch + h * x.stride_head + s * x.stride_token;
        out = std::transform(row, row + x.head_dim, out, convert);
      }
    }
  }
  return copy;
}

HostTensor copy_of(const AttentionTensor& x) {
  switch (x.dtype) {
    case Dtype::kF32:
      return copy_elements<float>(x, [](float value) { return value; });
    case Dtype::kBF16:
      return copy_elements<uint16_t>(x, bf16_to_float);
    case Dtype::kF16:
      return copy_elements<uint16_t>(x, f16_to_float);
    default:
      fail(ErrorKind::kInternal, "attention tensor of type {}", dtype_name(x.dtype));
  }
}

}  // namespace

RecordHook::RecordHook(AttentionHook& inner, std::set<int64_t> layers)
    : inner_(inner), layers_(std::move(layers)) {}

void RecordHook::attend(const AttentionCall& call) {
  if (layers_.contains(call.site.layer)) {
    calls_.push_back({call.site, copy_of(call.q), copy_of(call.k), copy_of(call.v)});
  }
  inner_.attend(call);
}

}  // namespace sparsescope
