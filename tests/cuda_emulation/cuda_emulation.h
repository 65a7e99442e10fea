// CUDA on the CPU, for tests: a C++ compiler takes csrc/cuda/*.cu as they are and runs their kernels.
//
// The threads of a block are fibres: one runs until it reaches a barrier or a vote, or ends; then the next one does. So
// a kernel runs in one thread of the CPU, a debugger steps through it, and every run is repeated exactly. Blocks run
// one after the other. What a GPU leaves open is the order of threads and blocks: seed 0 is ascending order, any other
// seed shuffles it anew after each barrier, so that a missing barrier shows as a wrong result.
//
// Refused, as on a GPU or more strictly: a barrier that only some threads of a block reach, or different ones; votes
// and shuffles without all 32 lanes; blocks of broken warps; grids, blocks and shared memory beyond the limits. Shared
// memory that is asked for at launch is filled with noise before each block. With -fsanitize=address the fibres are
// announced, and an index out of bounds stops the program. With -fsanitize=thread it finds races: see races.h.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#include "races.h"

// ------------------------------------------------------------------------------------------------- CUDA's vocabulary

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

#define LAUNCH_KERNEL(kernel, blocks, threads, shared_bytes, stream, ...) \
  cuda_emulation::launch(blocks, threads, shared_bytes, [=] { (kernel)(__VA_ARGS__); })
#define DYNAMIC_SHARED_MEMORY(name) unsigned char* const name = cuda_emulation::machine.shared.get()

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9 };
using cudaStream_t = struct CUstream_st*;

// Of the thread that runs; a debugger can print them.
inline dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace cuda_emulation {

constexpr unsigned kLanes = 32;
constexpr int kMostRounds = 1 << 20;  // of barriers, in a block

enum class State { kReady, kAtBarrier, kAtVote, kEnded };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  State state;
  int line;  // of the barrier or vote that it waits at
  dim3 thread;
  void* fake_stack = nullptr;              // AddressSanitizer's
  void* watched = nullptr;                 // ThreadSanitizer's
  unsigned block_barriers, warp_barriers;  // that it has come to
};

// Where threads arrive at a barrier and leave it; the next barrier is the other place, for some may still be leaving.
struct Barrier {
  char places[2];
};

// What the lanes of a warp brought to a vote, and what all of them brought to the last one.
struct Warp {
  uint64_t brought[kLanes], seen[kLanes];
  Barrier barrier;
};

struct Machine {
  uint64_t seed = 0;
  std::mt19937_64 random;
  cudaError_t error = cudaSuccess;
  std::unique_ptr<unsigned char[]> shared;
  std::function<void()> kernel;
  std::vector<Fiber> fibers;  // kept from block to block, with their stacks
  std::vector<Warp> warps;
  std::unique_ptr<Barrier> barrier;
  char end_of_launch;  // where all threads arrive
  Fiber* running = nullptr;
  std::string failure;  // of a fibre: an exception cannot leave one
  ucontext_t scheduler;
  void* watched_scheduler = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_bytes = 0;
};

inline Machine machine;

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 256 << 10;
inline void start_switch(void** fake_stack, const void* bottom, size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
}
inline void finish_switch(void* fake_stack, const void** bottom, size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, bottom, bytes);
}
#else
constexpr size_t kStackBytes = 64 << 10;
inline void start_switch(void**, const void*, size_t) {}
inline void finish_switch(void*, const void**, size_t*) {}
#endif

inline std::vector<unsigned> order(unsigned count) {
  std::vector<unsigned> result(count);
  std::iota(result.begin(), result.end(), 0);
  if (machine.seed != 0) std::shuffle(result.begin(), result.end(), machine.random);
  return result;
}

// From a fibre to the scheduler, and, unless it has ended, back again later.
inline void pause(State state, int line) {
  Fiber& self = *machine.running;
  {
    [[maybe_unused]] const Unwatched unwatched;
    self.state = state, self.line = line;
  }
  const bool ended = state == State::kEnded;  // its fake stack can then go
  start_switch(ended ? nullptr : &self.fake_stack, machine.scheduler_stack, machine.scheduler_stack_bytes);
  switch_to_fiber(machine.watched_scheduler);
  swapcontext(&self.context, &machine.scheduler);
  finish_switch(self.fake_stack, nullptr, nullptr);
}

inline void run_thread() {
  finish_switch(nullptr, &machine.scheduler_stack, &machine.scheduler_stack_bytes);
  machine.kernel();
  arrive(&machine.end_of_launch);
  pause(State::kEnded, 0);
}

inline void resume(Fiber& fiber) {
  machine.running = &fiber;
  threadIdx = fiber.thread;
  void* fake_stack = nullptr;
  start_switch(&fake_stack, fiber.stack.get(), kStackBytes);
  switch_to_fiber(fiber.watched);
  swapcontext(&machine.scheduler, &fiber.context);
  finish_switch(fake_stack, nullptr, nullptr);
}

[[noreturn]] inline void stop(const std::string& what) {
  throw std::logic_error("block " + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ": " + what);
}

// Lets the fibres first, ..., first + count - 1 go on if all of them wait for the same barrier or vote. True if it did.
inline bool release(unsigned first, unsigned count, State waiting) {
  Fiber* const group = &machine.fibers[first];
  for (unsigned n = 0; n < count; ++n) {
    if (group[n].state != waiting || group[n].line != group[0].line) return false;
  }
  for (unsigned n = 0; n < count; ++n) group[n].state = State::kReady;
  if (waiting == State::kAtVote) {
    Warp& warp = machine.warps[first / kLanes];
    std::copy(std::begin(warp.brought), std::end(warp.brought), warp.seen);
  }
  return true;
}

inline void run_block(unsigned threads, size_t shared_bytes) {
  machine.shared.reset(new unsigned char[shared_bytes]);
  std::memset(machine.shared.get(), 0xcd, shared_bytes);
  machine.warps = std::vector<Warp>(threads / kLanes);
  machine.barrier.reset(new Barrier);
  machine.watched_scheduler = this_fiber();
  for (unsigned n = 0; n < threads; ++n) {
    Fiber& fiber = machine.fibers[n];
    fiber.state = State::kReady, fiber.line = 0, fiber.fake_stack = nullptr;
    fiber.block_barriers = fiber.warp_barriers = 0, fiber.watched = new_fiber();
    if (kRaces || !fiber.stack) fiber.stack.reset(new char[kStackBytes]);  // a used one holds another fibre's accesses
    fiber.thread = dim3(n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, run_thread, 0);
  }
  for (int round = 0; round < kMostRounds; ++round) {
    // A warp goes as far as it can before the next one does: no barrier, no waiting.
    for (unsigned warp : order(threads / kLanes)) {
      do {
        for (unsigned lane : order(kLanes)) {
          Fiber& fiber = machine.fibers[warp * kLanes + lane];
          if (fiber.state == State::kReady) resume(fiber);
          if (!machine.failure.empty()) stop(std::exchange(machine.failure, ""));
        }
      } while (release(warp * kLanes, kLanes, State::kAtVote));
    }
    const auto ended = [](const Fiber& fiber) { return fiber.state == State::kEnded; };
    if (std::all_of(machine.fibers.begin(), machine.fibers.begin() + threads, ended)) {
      for (unsigned n = 0; n < threads; ++n) end_fiber(machine.fibers[n].watched);
      return;
    }
    if (release(0, threads, State::kAtBarrier)) continue;
    std::string waiting;
    for (unsigned n = 0; n < threads; ++n) {
      const Fiber& fiber = machine.fibers[n];
      if (n > 0 && fiber.state == machine.fibers[n - 1].state && fiber.line == machine.fibers[n - 1].line) continue;
      waiting += "; from thread " + std::to_string(n) + " on ";
      waiting += fiber.state == State::kEnded ? "ended" : "at line " + std::to_string(fiber.line);
    }
    stop("not all threads reach the same barrier or vote" + waiting);
  }
  stop("no end after " + std::to_string(kMostRounds) + " barriers");
}

template <typename Kernel>
void launch(dim3 grid, dim3 block, size_t shared_bytes, const Kernel& kernel) {
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  const bool possible = grid.x > 0 && grid.x < (1u << 31) && grid.y > 0 && grid.y < 65536 && grid.z > 0 &&
                        grid.z < 65536 && threads > 0 && threads <= 1024 && shared_bytes <= (48 << 10);
  if (!possible) {
    machine.error = cudaErrorInvalidConfiguration;
    return;
  }
  [[maybe_unused]] const Unwatched unwatched;
  gridDim = grid, blockDim = block;
  if (threads % kLanes != 0) stop("the block's size is no multiple of 32");
  machine.random.seed(machine.seed);
  machine.kernel = kernel;
  while (machine.fibers.size() < threads) machine.fibers.emplace_back();
  const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
  for (uint64_t n : order(static_cast<unsigned>(blocks))) {
    blockIdx = dim3(static_cast<unsigned>(n % grid.x), static_cast<unsigned>(n / grid.x % grid.y),
                    static_cast<unsigned>(n / grid.x / grid.y));
    in_a_thread([&] { run_block(static_cast<unsigned>(threads), shared_bytes); });
  }
  leave(&machine.end_of_launch);
}

// ------------------------------------------------------------------------------------------ barriers, votes, atomics

// Brings a value to the other lanes of the warp and waits for theirs.
template <typename T>
const uint64_t* exchange(unsigned mask, T value, int line) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  if (mask != 0xffffffffu) {
    machine.failure = "a vote without all lanes, line " + std::to_string(line);
    pause(State::kEnded, line);
  }
  const auto thread = static_cast<unsigned>(machine.running - machine.fibers.data());
  Warp& warp = machine.warps[thread / kLanes];
  {
    [[maybe_unused]] const Unwatched unwatched;
    warp.brought[thread % kLanes] = 0;
    std::memcpy(&warp.brought[thread % kLanes], &value, sizeof value);
  }
  pause(State::kAtVote, line);
  return warp.seen;
}

inline unsigned ballot(unsigned mask, bool predicate, int line) {
  const uint64_t* seen = exchange(mask, predicate, line);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) bits |= static_cast<unsigned>(seen[lane] != 0) << lane;
  return bits;
}

inline bool any(unsigned mask, bool predicate, int line) { return ballot(mask, predicate, line) != 0; }

template <typename T>
T shuffle(unsigned mask, T value, unsigned lane, int line) {
  const uint64_t* seen = exchange(mask, value, line);
  T result;
  std::memcpy(&result, &seen[lane % kLanes], sizeof result);
  return result;
}

inline unsigned lane() { return threadIdx.x % kLanes; }

// Where a thread that has come to `passed` barriers before arrives at this one, and leaves it.
inline char* next_place(Barrier& barrier, unsigned& passed) {
  [[maybe_unused]] const Unwatched unwatched;
  return &barrier.places[passed++ % 2];
}

inline void sync_block(int line) {
  char* const place = next_place(*machine.barrier, machine.running->block_barriers);
  arrive(place);
  pause(State::kAtBarrier, line);
  leave(place);
}

inline void sync_warp(unsigned mask, int line) {
  const auto warp = (machine.running - machine.fibers.data()) / kLanes;
  char* const place = next_place(machine.warps[warp].barrier, machine.running->warp_barriers);
  arrive(place);
  exchange(mask, true, line);
  leave(place);
}

// They order nothing but the accesses to one place.
template <typename T, typename Function>
T atomically(T* address, const Function& function) {
  T before, after;
  __atomic_load(address, &before, __ATOMIC_RELAXED);
  do {
    after = function(before);
  } while (!__atomic_compare_exchange(address, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}

}  // namespace cuda_emulation

#define __syncthreads() cuda_emulation::sync_block(__LINE__)
#define __syncwarp(...) cuda_emulation::sync_warp(0xffffffffu, __LINE__)
#define __ballot_sync(mask, predicate) cuda_emulation::ballot(mask, predicate, __LINE__)
#define __any_sync(mask, predicate) cuda_emulation::any(mask, predicate, __LINE__)
#define __all_sync(mask, predicate) (!cuda_emulation::any(mask, !(predicate), __LINE__))
#define __shfl_sync(mask, value, source) cuda_emulation::shuffle(mask, value, source, __LINE__)
#define __shfl_xor_sync(mask, value, bits) \
  cuda_emulation::shuffle(mask, value, cuda_emulation::lane() ^ (bits), __LINE__)
#define __shfl_down_sync(mask, value, delta)                                                                          \
  cuda_emulation::shuffle(                                                                                            \
      mask, value, cuda_emulation::lane() + (delta) < 32 ? cuda_emulation::lane() + (delta) : cuda_emulation::lane(), \
      __LINE__)

template <typename T>
T atomicAdd(T* address, T value) {
  return cuda_emulation::atomically(address, [=](T before) { return static_cast<T>(before + value); });
}

template <typename T>
T atomicMin(T* address, T value) {
  return cuda_emulation::atomically(address, [=](T before) { return std::min(before, value); });
}

template <typename T>
T atomicMax(T* address, T value) {
  return cuda_emulation::atomically(address, [=](T before) { return std::max(before, value); });
}

template <typename T>
T atomicOr(T* address, T value) {
  return cuda_emulation::atomically(address, [=](T before) { return before | value; });
}

inline cudaError_t cudaGetLastError() {
  const cudaError_t error = cuda_emulation::machine.error;
  cuda_emulation::machine.error = cudaSuccess;
  return error;
}

inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : "invalid configuration argument";
}
