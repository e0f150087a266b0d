// The twin of the stores of matrices, from their definition in the PTX manual.
#pragma once

#include <cstdint>
#include <cstring>

#include "emulator/engine.h"

namespace sparsescope::cuda {

inline void store_matrix_x4_transposed(void* target, const uint32_t (&registers)[4]) {
  struct Store {
    void* column;               // of 16 bytes: lane 8 m + c gives column c of matrix m
    const uint32_t* registers;  // [4], one a matrix
  } argument{target, registers};
  emulator::meet_in_warp("stmatrix.trans", 0xffffffffu, &argument, [](void* const* arguments) {
    for (int lane = 0; lane < emulator::kWarpSize; ++lane) {
      const auto* mine = static_cast<const Store*>(arguments[lane]);
      for (int m = 0; m < 4; ++m) {
        for (int half = 0; half < 2; ++half) {
          const int row = lane / 4, column = 2 * (lane % 4) + half;
          const auto* of_column = static_cast<const Store*>(arguments[8 * m + column]);
          const auto bits = static_cast<uint16_t>(mine->registers[m] >> (16 * half));
          std::memcpy(static_cast<char*>(of_column->column) + 2 * row, &bits, sizeof bits);
        }
      }
    }
  });
}

}  // namespace sparsescope::cuda
