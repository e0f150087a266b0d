#include "capture/record_hook.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "capture/host_call.h"
#include "core/dtype.h"
#include "core/error.h"

namespace sparsescope {
namespace {

template <typename Element, typename Convert>
HostTensor copy_elements(const AttentionTensor& x, const std::vector<int64_t>& heads,
                         Convert&& convert) {
  HostTensor copy = HostTensor::zeros({x.batch, std::ssize(heads), x.tokens, x.head_dim});
  const auto* data = static_cast<const Element*>(x.data);
  float* out = copy.values.data();
  for (int64_t b = 0; b < x.batch; ++b) {
    for (const int64_t h : heads) {
      for (int64_t s = 0; s < x.tokens; ++s) {
        const Element* row = data + b * x.stride_batch + h * x.stride_head + s * x.stride_token;
        out = std::transform(row, row + x.head_dim, out, convert);
      }
    }
  }
  return copy;
}

HostTensor copy_of(const AttentionTensor& x, const std::vector<int64_t>& heads) {
  switch (x.dtype) {
    case Dtype::kF32:
      return copy_elements<float>(x, heads, [](float value) { return value; });
    case Dtype::kBF16:
      return copy_elements<uint16_t>(x, heads, bf16_to_float);
    case Dtype::kF16:
      return copy_elements<uint16_t>(x, heads, f16_to_float);
    default:
      fail(ErrorKind::kInternal, "attention tensor of type {}", dtype_name(x.dtype));
  }
}

}  // namespace

RecordHook::RecordHook(AttentionHook& inner, std::function<bool(const SiteKey&)> keeps,
                       std::vector<int64_t> heads)
    : inner_(inner), keeps_(std::move(keeps)), heads_(std::move(heads)) {}

void RecordHook::attend(const AttentionCall& call) {
  if (keeps_(call.site)) {
    std::vector<int64_t> heads = heads_;
    if (heads.empty()) {
      heads.resize(static_cast<size_t>(call.q.heads));
      std::iota(heads.begin(), heads.end(), int64_t{0});
    }
    const HostCall host(call);
    RecordedCall kept{.site = call.site,
                      .prefix = call.prefix,
                      .suffix = call.suffix,
                      .scale = call.scale,
                      .heads = heads,
                      .q = copy_of(host.call().q, heads),
                      .k = copy_of(host.call().k, heads),
                      .v = copy_of(host.call().v, heads)};
    calls_.push_back(std::move(kept));
  }
  inner_.attend(call);
}

std::vector<RecordedCall> RecordHook::take() { return std::exchange(calls_, {}); }

}  // namespace sparsescope
