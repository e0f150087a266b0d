#include "emulator/engine.h"

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <utility>

namespace emulator {
namespace {

namespace context = boost::context;

constexpr size_t kStackBytes = size_t{512} << 10;
constexpr int kPoison = 0xff;  // NaN in every floating type

struct Copy {
  void* target;
  const void* source;
  size_t bytes, valid_bytes;
};

struct Fiber {
  Thread thread;
  context::fiber own, scheduler;
  bool done = false;
  std::function<bool()> ready;  // empty: can run
  const char* waits_for = "";
  std::deque<std::vector<Copy>> copy_groups;
  std::vector<Copy> open_copies;
};

// The exchange that the lanes of a warp are gathering at.
struct Meeting {
  const char* name = nullptr;
  unsigned mask = 0, arrived = 0;
  uint64_t number = 0;  // of the meetings that took place
  void* arguments[kWarpSize] = {};
};

struct Barrier {
  int arrived = 0;
  uint64_t number = 0;
  bool votes[2] = {};  // of those that have come, and, until they come again, of the time before
};

Schedule schedule_kind = Schedule::kForward;
uint64_t schedule_seed = 0;

class BlockRun {
 public:
  BlockRun(const Shape& shape, uint3 block_idx, const std::function<void()>& body,
           std::vector<unsigned char>& shared);
  void run();

  void wait(const char* what, std::function<bool()> ready);
  const Shape& shape() const { return shape_; }
  unsigned char* shared() { return shared_.data(); }
  Fiber& current() { return *current_; }
  Meeting& meeting() { return meetings_[current_->thread.warp()]; }
  Barrier& barrier(int idx) { return barriers_[idx]; }
  // Opens the barrier if all have come.
  bool complete(Barrier& barrier, int num_threads) const {
    if (barrier.arrived < (num_threads > 0 ? num_threads : running_threads())) return false;
    barrier.arrived = 0;
    ++barrier.number;
    barrier.votes[barrier.number % 2] = false;
    return true;
  }
  int running_threads() const {
    return static_cast<int>(std::count_if(fibers_.begin(), fibers_.end(),
                                          [](const auto& fiber) { return !fiber->done; }));
  }
  void defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }
  std::shared_ptr<void>& warp_state(int warp) { return warp_states_.at(warp); }

 private:
  void start(Fiber& fiber, const std::function<void()>& body);
  bool run_round();
  bool complete_deferred();
  [[noreturn]] void report_deadlock() const;

  const Shape& shape_;
  std::vector<unsigned char>& shared_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<int> order_;
  std::vector<Meeting> meetings_;
  Barrier barriers_[16];
  std::vector<std::shared_ptr<void>> warp_states_;
  std::vector<std::function<void()>> deferred_;
  Fiber* current_ = nullptr;
  std::exception_ptr failure_;
  std::mt19937_64 random_{schedule_seed};
};

thread_local BlockRun* running = nullptr;

BlockRun& block() {
  if (running == nullptr) throw Fault("emulator: device code was called outside a kernel");
  return *running;
}

context::pooled_fixedsize_stack& stacks() {
  thread_local context::pooled_fixedsize_stack pool(kStackBytes);
  return pool;
}

BlockRun::BlockRun(const Shape& shape, uint3 block_idx, const std::function<void()>& body,
                   std::vector<unsigned char>& shared)
    : shape_(shape), shared_(shared) {
  const dim3 block = shape.block;
  const int threads = static_cast<int>(block.x * block.y * block.z);
  meetings_.resize((threads + kWarpSize - 1) / kWarpSize);
  warp_states_.resize(meetings_.size());
  order_.resize(threads);
  std::iota(order_.begin(), order_.end(), 0);
  if (schedule_kind == Schedule::kBackward) std::reverse(order_.begin(), order_.end());
  for (int i = 0; i < threads; ++i) {
    auto fiber = std::make_unique<Fiber>();
    const auto u = static_cast<unsigned>(i);
    fiber->thread = {{u % block.x, u / block.x % block.y, u / (block.x * block.y)}, block_idx, i};
    start(*fiber, body);
    fibers_.push_back(std::move(fiber));
  }
}

void BlockRun::start(Fiber& fiber, const std::function<void()>& body) {
  fiber.own = context::fiber(std::allocator_arg, stacks(),
                             [this, &fiber, &body](context::fiber&& scheduler) {
                               fiber.scheduler = std::move(scheduler);
                               try {
                                 body();
                               } catch (const context::detail::forced_unwind&) {
                                 throw;
                               } catch (...) {
                                 failure_ = std::current_exception();
                               }
                               fiber.done = true;
                               return std::move(fiber.scheduler);
                             });
}

void BlockRun::wait(const char* what, std::function<bool()> ready) {
  Fiber& fiber = *current_;
  fiber.ready = std::move(ready);
  fiber.waits_for = what;
  fiber.scheduler = std::move(fiber.scheduler).resume();
  fiber.ready = nullptr;
}

// Gives every thread that can run one turn. False: none could.
bool BlockRun::run_round() {
  if (schedule_kind == Schedule::kShuffled) std::shuffle(order_.begin(), order_.end(), random_);
  bool any = false;
  for (const int i : order_) {
    Fiber& fiber = *fibers_[i];
    if (fiber.done || (fiber.ready && !fiber.ready())) continue;
    any = true;
    current_ = &fiber;
    fiber.own = std::move(fiber.own).resume();
    if (failure_) std::rethrow_exception(failure_);
  }
  return any;
}

// Completes one piece of deferred work. False: there is none.
bool BlockRun::complete_deferred() {
  if (deferred_.empty()) return false;
  size_t which = 0;
  if (schedule_kind == Schedule::kBackward) which = deferred_.size() - 1;
  if (schedule_kind == Schedule::kShuffled) which = random_() % deferred_.size();
  const auto work = std::move(deferred_[which]);
  deferred_.erase(deferred_.begin() + static_cast<std::ptrdiff_t>(which));
  work();
  return true;
}

void BlockRun::run() {
  running = this;
  struct Leave {
    ~Leave() { running = nullptr; }
  } leave;
  std::memset(shared_.data(), kPoison, shared_.size());
  while (running_threads() > 0) {
    if (!run_round() && !complete_deferred()) report_deadlock();
  }
  if (!deferred_.empty()) throw Fault("emulator: a block ends while copies to it are under way");
}

void BlockRun::report_deadlock() const {
  std::string text = "emulator: no thread of the block can run;";
  for (const auto& fiber : fibers_) {
    if (fiber->done) continue;
    text +=
        " thread " + std::to_string(fiber->thread.linear) + " waits for " + fiber->waits_for + ",";
    if (text.size() > 2000) break;
  }
  throw Fault(text);
}

void execute(const std::vector<Copy>& copies) {
  for (const Copy& copy : copies) {
    std::memcpy(copy.target, copy.source, copy.valid_bytes);
    std::memset(static_cast<char*>(copy.target) + copy.valid_bytes, 0,
                copy.bytes - copy.valid_bytes);
  }
}

}  // namespace

void set_schedule(Schedule schedule, uint64_t seed) {
  schedule_kind = schedule;
  schedule_seed = seed;
}

void run_grid(const Shape& shape, const std::function<void()>& body) {
  if (shape.shared_bytes > kSharedBytesMax) {
    throw Fault("emulator: a launch asks for " + std::to_string(shape.shared_bytes) +
                " bytes of shared memory, a GPU has " + std::to_string(kSharedBytesMax));
  }
  constexpr unsigned kGridMax = 65535;
  if (shape.grid.y > kGridMax || shape.grid.z > kGridMax) {
    throw Fault("emulator: a grid of " + std::to_string(shape.grid.y) + " by " +
                std::to_string(shape.grid.z) + " along y and z, a GPU takes " +
                std::to_string(kGridMax));
  }
  // Aligned as a GPU's is: swizzles and descriptors depend on the low address bits.
  constexpr size_t kAlignment = 1024;
  std::vector<unsigned char> shared(shape.shared_bytes + kAlignment);
  for (unsigned z = 0; z < shape.grid.z; ++z) {
    for (unsigned y = 0; y < shape.grid.y; ++y) {
      for (unsigned x = 0; x < shape.grid.x; ++x) {
        BlockRun(shape, uint3{x, y, z}, body, shared).run();
      }
    }
  }
}

const Thread& self() { return block().current().thread; }
const Shape& shape() { return block().shape(); }

unsigned char* dynamic_shared() {
  constexpr uintptr_t kAlignment = 1024;
  const auto address = reinterpret_cast<uintptr_t>(block().shared());
  return reinterpret_cast<unsigned char*>((address + kAlignment - 1) / kAlignment * kAlignment);
}

void meet_in_warp(const char* name, unsigned mask, void* argument,
                  const std::function<void(void* const* arguments)>& act) {
  const int lane = self().lane();
  if ((mask >> lane & 1u) == 0) {
    throw Fault(std::string("emulator: ") + name + ": lane " + std::to_string(lane) +
                " is not in its own mask");
  }
  BlockRun& run = block();
  Meeting& meeting = run.meeting();
  if (meeting.arrived == 0) {
    meeting.name = name;
    meeting.mask = mask;
  } else if (std::strcmp(meeting.name, name) != 0 || meeting.mask != mask) {
    throw Fault(std::string("emulator: lanes of warp ") + std::to_string(self().warp()) +
                " diverged: some are at " + meeting.name + ", others at " + name);
  }
  meeting.arguments[lane] = argument;
  meeting.arrived |= 1u << lane;
  if (meeting.arrived == mask) {
    act(meeting.arguments);
    std::fill(std::begin(meeting.arguments), std::end(meeting.arguments), nullptr);
    meeting.arrived = 0;
    ++meeting.number;
    return;
  }
  const uint64_t number = meeting.number;
  run.wait(name, [&meeting, number] { return meeting.number != number; });
}

void meet_at_barrier(int barrier_idx, int num_threads) {
  const uint64_t number = block().barrier(barrier_idx).number;
  arrive_at_barrier(barrier_idx, num_threads);
  BlockRun& run = block();
  Barrier& barrier = run.barrier(barrier_idx);
  const auto complete = [&run, &barrier, number, num_threads] {
    return barrier.number != number || run.complete(barrier, num_threads);
  };
  if (!complete()) run.wait("a barrier", complete);
}

bool vote_at_barrier(int barrier_idx, int num_threads, bool predicate) {
  Barrier& barrier = block().barrier(barrier_idx);
  bool& vote = barrier.votes[barrier.number % 2];
  vote = vote || predicate;
  meet_at_barrier(barrier_idx, num_threads);
  return vote;
}

void arrive_at_barrier(int barrier_idx, int num_threads) {
  BlockRun& run = block();
  Barrier& barrier = run.barrier(barrier_idx);
  ++barrier.arrived;
  run.complete(barrier, num_threads);
}

void wait_until(const char* what, const std::function<bool()>& ready) {
  if (!ready()) block().wait(what, ready);
}

void defer(std::function<void()> work) { block().defer(std::move(work)); }
std::shared_ptr<void>& warp_state(int warp) { return block().warp_state(warp); }

namespace {

constexpr uint32_t kDynamicStart = 1024;  // in the window of shared addresses

unsigned char* dynamic_part(int64_t offset, size_t bytes) {
  const auto size = static_cast<int64_t>(shape().shared_bytes);
  if (offset < 0 || offset + static_cast<int64_t>(bytes) > size) {
    throw Fault("emulator: byte " + std::to_string(offset) + " of " + std::to_string(size) +
                " bytes of shared memory");
  }
  return dynamic_shared() + offset;
}

}  // namespace

uint32_t shared_address(const void* pointer) {
  const int64_t offset = static_cast<const unsigned char*>(pointer) - dynamic_shared();
  dynamic_part(offset, 1);
  return static_cast<uint32_t>(offset) + kDynamicStart;
}

unsigned char* shared_pointer(uint32_t address, size_t bytes) {
  return dynamic_part(int64_t{address} - kDynamicStart, bytes);
}

void copy_later(void* target, const void* source, size_t bytes, size_t valid_bytes) {
  std::memset(target, kPoison, bytes);
  block().current().open_copies.push_back({target, source, bytes, valid_bytes});
}

void close_copy_group() {
  Fiber& fiber = block().current();
  fiber.copy_groups.push_back(std::exchange(fiber.open_copies, {}));
}

void wait_for_copies(int groups_left) {
  auto& groups = block().current().copy_groups;
  while (static_cast<int>(groups.size()) > groups_left) {
    execute(groups.front());
    groups.pop_front();
  }
}

}  // namespace emulator
