// Tiles of 16-bit elements as the copy engine writes them and wgmma reads them: columns in strips
// of 64 (128 bytes), one strip after the other, each [rows, 64] with the 128-byte swizzle: the
// 16-byte chunks of a row are permuted by the row's number within each 1,024 bytes.
//
//   tile [D / 64][rows][64], aligned to 1,024 bytes
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace sparsescope::cuda::sm90 {

inline constexpr int kStripColumns = 64;
inline constexpr int kStripRowBytes = 128;
inline constexpr int kSwizzleRows = 8;  // of the pattern that repeats
inline constexpr int kSwizzleBytes = kSwizzleRows * kStripRowBytes;

// The 64-bit matrix descriptor of wgmma for the 128-byte swizzle. Fields, addresses and offsets in
// units of 16 bytes:
//   0-13   start address
//   16-29  leading offset
//   32-45  stride offset
//   49-51  base offset: 0, the pattern begins at a multiple of 1,024 bytes
//   62-63  swizzle: 1 for 128 bytes
//
// Factors with rows along the depth (keys, of Q K^T): stride offset from eight rows to the next;
// the leading offset is not used. Factors with rows along the columns (values, of P V): stride
// offset from eight rows to the next, leading offset from 64 columns to the next.
__host__ __device__ constexpr uint64_t matrix_descriptor(uint32_t address, uint32_t leading_bytes,
                                                         uint32_t stride_bytes) {
  constexpr auto units = [](uint32_t bytes) { return uint64_t{(bytes & 0x3ffffu) >> 4}; };
  return units(address) | units(leading_bytes) << 16 | units(stride_bytes) << 32 |
         uint64_t{1} << 62;
}
// To be added to a descriptor for a start address so many bytes on.
__host__ __device__ constexpr uint64_t matrix_descriptor_offset(int bytes) {
  return static_cast<uint64_t>(bytes) >> 4;
}

// Descriptors of the first 16 along the depth, and what to add for each further 16.

// Keys: rows of the tile are columns of the product, along D its depth.
__device__ inline uint64_t keys_descriptor(uint32_t tile) {
  return matrix_descriptor(tile, 16, kSwizzleBytes);
}
template <int kRows>
__device__ constexpr uint64_t keys_step(int step) {
  constexpr int kStepsPerStrip = kStripColumns / 16;
  return matrix_descriptor_offset(step / kStepsPerStrip * (kRows * kStripRowBytes) +
                                  step % kStepsPerStrip * (16 * 2));
}

// Values: rows of the tile are the depth of the product, along D its columns.
template <int kRows>
__device__ inline uint64_t values_descriptor(uint32_t tile) {
  return matrix_descriptor(tile, kRows * kStripRowBytes, kSwizzleBytes);
}
__device__ constexpr uint64_t values_step(int step) {
  return matrix_descriptor_offset(step * (16 * kStripRowBytes));
}

}  // namespace sparsescope::cuda::sm90
