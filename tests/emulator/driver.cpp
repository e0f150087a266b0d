// The part of the CUDA driver that our host code calls, found by name as on a GPU.
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>
#include <string_view>

#include "emulator/tensor_map.h"

namespace emulator {
namespace {

int bytes_of(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8:
      return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16:
      return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
      return 4;
    default:
      return 0;
  }
}

int bytes_of(CUtensorMapSwizzle swizzle) {
  switch (swizzle) {
    case CU_TENSOR_MAP_SWIZZLE_NONE:
      return 0;
    case CU_TENSOR_MAP_SWIZZLE_32B:
      return 32;
    case CU_TENSOR_MAP_SWIZZLE_64B:
      return 64;
    case CU_TENSOR_MAP_SWIZZLE_128B:
      return 128;
    default:
      return -1;
  }
}

// Refuses what the driver's manual forbids.
CUresult encode_tiled(CUtensorMap* opaque, CUtensorMapDataType type, cuuint32_t rank, void* base,
                      const cuuint64_t* extents, const cuuint64_t* strides, const cuuint32_t* box,
                      const cuuint32_t* element_steps, CUtensorMapInterleave interleave,
                      CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                      CUtensorMapFloatOOBfill fill) {
  constexpr uint64_t kMaxExtent = uint64_t{1} << 32, kMaxStride = uint64_t{1} << 40;
  constexpr uint32_t kMaxBox = 256;
  const int element_bytes = bytes_of(type), swizzle_bytes = bytes_of(swizzle);
  if (reinterpret_cast<uintptr_t>(opaque) % 64 != 0 ||
      reinterpret_cast<uintptr_t>(base) % 16 != 0 || base == nullptr || rank < 1 ||
      rank > kMaxRank || element_bytes == 0 || swizzle_bytes < 0 ||
      interleave != CU_TENSOR_MAP_INTERLEAVE_NONE || fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  TensorMap map;
  map.magic = TensorMap::kMagic;
  map.rank = static_cast<uint8_t>(rank);
  map.element_bytes = static_cast<uint8_t>(element_bytes);
  map.swizzle_bytes = static_cast<uint8_t>(swizzle_bytes);
  map.base = base;
  map.strides[0] = static_cast<uint64_t>(element_bytes);
  for (cuuint32_t i = 0; i < rank; ++i) {
    if (extents[i] == 0 || extents[i] >= kMaxExtent || box[i] == 0 || box[i] > kMaxBox ||
        element_steps[i] != 1) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    map.extents[i] = static_cast<uint32_t>(extents[i]);
    map.box[i] = static_cast<uint16_t>(box[i]);
    if (i == 0) continue;
    if (strides[i - 1] % 16 != 0 || strides[i - 1] >= kMaxStride) return CUDA_ERROR_INVALID_VALUE;
    map.strides[i] = strides[i - 1];
  }
  const int inner_bytes = static_cast<int>(box[0]) * element_bytes;
  if (inner_bytes % 16 != 0 || (swizzle_bytes > 0 && inner_bytes > swizzle_bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::memset(opaque, 0, sizeof *opaque);
  std::memcpy(opaque, &map, sizeof map);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace emulator

extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function,
                                                        unsigned, unsigned long long,
                                                        cudaDriverEntryPointQueryResult* found) {
  const bool known = std::string_view(symbol) == "cuTensorMapEncodeTiled";
  *function = known ? reinterpret_cast<void*>(&emulator::encode_tiled) : nullptr;
  *found = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
