#include "kernels/cuda/sm90/tensor_map.h"

#include <cuda_runtime.h>

#include "core/error.h"
#include "kernels/cuda/check.h"

namespace sparsescope::cuda::sm90 {
namespace {

// The driver's function, found at run time: the program also runs where there is no driver.
auto tensor_map_encoder() {
  using Encoder = decltype(&cuTensorMapEncodeTiled);
  static const Encoder encoder = [] {
    constexpr unsigned kSinceVersion = 12000;
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kSinceVersion,
                                                cudaEnableDefault, &found),
               "looking for the driver's tensor maps");
    SPARSESCOPE_CHECK(ErrorKind::kDevice, found == cudaDriverEntryPointSuccess,
                      "the GPU's driver has no tensor maps: version 12.0 or newer is needed");
    return reinterpret_cast<Encoder>(function);
  }();
  return encoder;
}

}  // namespace

CUtensorMap map_rows(const PackedTensor& tensor, int box_rows, bool all_strips) {
  constexpr uint32_t kStripColumns = 64;
  constexpr uint64_t kElementBytes = 2;
  const auto strips = static_cast<uint32_t>(tensor.head_dim) / kStripColumns;
  const uint64_t extents[] = {kStripColumns, static_cast<uint64_t>(tensor.rows), strips,
                              static_cast<uint64_t>(tensor.heads)};
  const uint64_t strides[] = {tensor.stride_row * kElementBytes, kStripColumns * kElementBytes,
                              tensor.stride_head * kElementBytes};
  const uint32_t box[] = {kStripColumns, static_cast<uint32_t>(box_rows), all_strips ? strips : 1,
                          1};
  const uint32_t element_steps[] = {1, 1, 1, 1};
  CUtensorMap map;
  const CUresult result = tensor_map_encoder()(
      &map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 4, const_cast<void*>(tensor.data), extents, strides,
      box, element_steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  SPARSESCOPE_CHECK(ErrorKind::kDevice, result == CUDA_SUCCESS,
                    "the driver refuses a tensor map of [{}, {}, {}] elements at strides {}, {}: "
                    "CUresult {}",
                    tensor.heads, tensor.rows, tensor.head_dim, tensor.stride_head,
                    tensor.stride_row, static_cast<int>(result));
  return map;
}

PieceMaps map_pieces(const PackedTensor& tensor) {
  PieceMaps maps;
  for (int i = 0; i < PieceMaps::kMaps; ++i) maps.of_rows[i] = map_rows(tensor, 1 << i, false);
  return maps;
}

}  // namespace sparsescope::cuda::sm90
