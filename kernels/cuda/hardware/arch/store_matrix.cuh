// Stores of 8 x 8 matrices of 16-bit elements from the fragments of a product (sm_90 and newer).
#pragma once

#include <cstdint>

namespace sparsescope::cuda {

// Four matrices, transposed; lane l holds elements 2 (l % 4) and the next of row l / 4 of each,
// lane 8 m + c gives the address of 16 bytes for column c of matrix m.
__device__ inline void store_matrix_x4_transposed(void* column, const uint32_t (&registers)[4]) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(column));
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
      "r"(registers[0]), "r"(registers[1]), "r"(registers[2]), "r"(registers[3])
      : "memory");
}

}  // namespace sparsescope::cuda
