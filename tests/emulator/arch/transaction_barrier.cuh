// The twin of mbarrier, with its state in the barrier's own 64 bits: memory that was not
// initialised, or was written over, is found out.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "arch/block.cuh"
#include "emulator/engine.h"

namespace sparsescope::cuda {

struct TransactionBarrier {
  uint64_t state;
};

namespace twin {

// The limits are those of the PTX manual: counts to 2^20 - 1, bytes of either sign.
struct PhaseState {
  uint64_t expected : 20;  // arrivals of a phase
  uint64_t pending : 20;   // of them, not there yet
  uint64_t bytes : 20;     // expected and not there; biased, as bytes may come before they are
  uint64_t phase : 1;
  uint64_t valid : 3;
};
static_assert(sizeof(PhaseState) == sizeof(uint64_t));

inline constexpr int kNoBytes = 1 << 19;
inline constexpr unsigned kValid = 5;  // neither zeros nor the NaN bytes of fresh memory

inline PhaseState phase_state(const TransactionBarrier& barrier) {
  const auto state = std::bit_cast<PhaseState>(barrier.state);
  if (state.valid != kValid) throw emulator::Fault("emulator: a barrier is used that is none");
  return state;
}

// Arrivals and bytes that came (negative: are expected).
inline void count_at(TransactionBarrier& barrier, int arrivals, int bytes) {
  PhaseState state = phase_state(barrier);
  const int left = static_cast<int>(state.bytes) - bytes;
  if (arrivals > static_cast<int>(state.pending)) {
    throw emulator::Fault("emulator: more arrivals at a barrier than the " +
                          std::to_string(state.expected) + " of its phase");
  }
  if (left < 0 || left >= 2 * kNoBytes) {
    throw emulator::Fault("emulator: a barrier's count of bytes is out of range");
  }
  state.pending = state.pending - static_cast<unsigned>(arrivals);
  state.bytes = static_cast<unsigned>(left);
  if (state.pending == 0 && left == kNoBytes) {
    state.pending = state.expected;
    state.phase = 1 - state.phase;
  }
  barrier.state = std::bit_cast<uint64_t>(state);
}

}  // namespace twin

inline void init_barrier(TransactionBarrier& barrier, int arrivals) {
  emulator::shared_address(&barrier);
  const auto count = static_cast<unsigned>(arrivals);
  barrier.state =
      std::bit_cast<uint64_t>(twin::PhaseState{count, count, twin::kNoBytes, 0, twin::kValid});
}

inline void fence_barrier_init() {}

inline void arrive(TransactionBarrier& barrier) { twin::count_at(barrier, 1, 0); }

inline void expect_bytes(TransactionBarrier& barrier, int bytes) {
  twin::count_at(barrier, 0, -bytes);
}

inline void arrive_expecting(TransactionBarrier& barrier, int bytes) {
  expect_bytes(barrier, bytes);
  twin::count_at(barrier, 1, 0);
}

inline void wait_for_phase(TransactionBarrier& barrier, int parity) {
  emulator::wait_until("a transaction barrier", [&barrier, parity] {
    return static_cast<int>(twin::phase_state(barrier).phase) != parity;
  });
}

}  // namespace sparsescope::cuda
