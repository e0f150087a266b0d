// Runs CUDA kernels on the host, so that their logic is tested where there is no GPU: a thread of a
// block is a fiber, blocks run one after the other. Threads run until they have to wait for others
// (a barrier, a warp-wide exchange, an asynchronous copy); which one runs next is the schedule's
// choice, so that a missing barrier shows as a result that depends on the schedule.
//
// What it is not: a model of time, of registers or of memory ordering between threads that do meet
// at a barrier.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace emulator {

// A kernel that no GPU would run to its end: lanes of a warp at different exchanges, threads that
// wait for each other, shared memory beyond the launch's.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Schedule { kForward, kBackward, kShuffled };
void set_schedule(Schedule schedule, uint64_t seed = 0);

// What cudaGetDeviceProperties reports: 8.0 unless set.
void set_compute_capability(int major, int minor);

inline constexpr int kWarpSize = 32;
inline constexpr size_t kSharedBytesMax = 227 * 1024;

struct Shape {
  dim3 grid, block;
  size_t shared_bytes = 0;
};

// Runs body once per thread of the grid.
void run_grid(const Shape& shape, const std::function<void()>& body);

// What a running thread sees.
struct Thread {
  uint3 thread_idx{}, block_idx{};
  int linear = 0;  // in the block
  int warp() const { return linear / kWarpSize; }
  int lane() const { return linear % kWarpSize; }
};
const Thread& self();
const Shape& shape();
unsigned char* dynamic_shared();

// All lanes of mask meet at the exchange called name, each with an argument of its own; the last
// one to arrive calls act with the arguments by lane (null for lanes outside the mask), then all go
// on.
void meet_in_warp(const char* name, unsigned mask, void* argument,
                  const std::function<void(void* const* arguments)>& act);

// Waits until num_threads threads of the block have come to the barrier with this number; 0
// threads: all that have not returned.
void meet_at_barrier(int barrier, int num_threads);

// The same; whether the predicate holds for any of the threads.
bool vote_at_barrier(int barrier, int num_threads, bool predicate);

// Counts as one of num_threads threads there without waiting.
void arrive_at_barrier(int barrier, int num_threads);

// Waits until ready() is true. what names the thing in the report of a deadlock.
void wait_until(const char* what, const std::function<bool()>& ready);

// Work of the copy engine. The emulator completes it as late as it may, when no thread can run: one
// piece at a time, the oldest, the newest or any, as the schedule says. A block must not end before
// all of it is done.
void defer(std::function<void()> work);

// Shared memory as instructions address it: a window of 32-bit addresses, of which the block's
// dynamic part is a piece. Fault for what lies outside that part.
uint32_t shared_address(const void* pointer);
unsigned char* shared_pointer(uint32_t address, size_t bytes);

// Where the twin of an instruction keeps what it knows about a warp of the running block. Empty
// when the block begins.
std::shared_ptr<void>& warp_state(int warp);

// One asynchronous copy of the calling thread, done when the group that it belongs to is waited
// for. Until then the target holds NaN bytes.
void copy_later(void* target, const void* source, size_t bytes, size_t valid_bytes);
void close_copy_group();
void wait_for_copies(int groups_left);

}  // namespace emulator
