// Races: with -fsanitize=thread every thread of a block is a fibre of ThreadSanitizer too, and only what orders memory
// on a GPU orders it here: __syncthreads and __syncwarp, and the start and the end of a launch. Votes, shuffles and
// atomics do not, nor does the order in which the emulation happens to run threads and blocks. Two accesses to a byte,
// one of them a write, that nothing orders and that are not both atomic or volatile, are then reported, whatever came
// of them.
//
// Without -fsanitize=thread all of this is nothing.
#pragma once

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>

#include <exception>
#include <thread>

// A block gets a thread of the CPU, and with it shared memory of its own: else two blocks would race for it.
#define __shared__ static thread_local

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);

// What g++ calls before a volatile access, with --param tsan-distinguish-volatile=1. In CUDA it is a relaxed atomic
// one.
#define VOLATILE_ACCESS(bytes, type)                                            \
  inline __attribute__((used)) void __tsan_volatile_read##bytes(void* place) {  \
    __atomic_load_n(static_cast<type*>(place), __ATOMIC_RELAXED);               \
  }                                                                             \
  inline __attribute__((used)) void __tsan_volatile_write##bytes(void* place) { \
    __atomic_fetch_or(static_cast<type*>(place), 0, __ATOMIC_RELAXED);          \
  }
VOLATILE_ACCESS(1, unsigned char)
VOLATILE_ACCESS(2, unsigned short)
VOLATILE_ACCESS(4, unsigned)
VOLATILE_ACCESS(8, unsigned long)
#undef VOLATILE_ACCESS
}

namespace cuda_emulation {

constexpr bool kRaces = true;

// While there is one, what this fibre reads and writes takes no part in races: it is the emulation's own.
struct Unwatched {
  Unwatched() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~Unwatched() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

// A fibre comes after what its creator did before, but after nothing that another fibre does.
inline void* new_fiber() { return __tsan_create_fiber(0); }
inline void end_fiber(void* fiber) { __tsan_destroy_fiber(fiber); }
inline void* this_fiber() { return __tsan_get_current_fiber(); }
inline void switch_to_fiber(void* fiber) { __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync); }

// What was done before arrive(place), by anyone, comes before what is done after leave(place).
inline void arrive(void* place) { __tsan_release(place); }
inline void leave(void* place) { __tsan_acquire(place); }

// The first access of a thread to its static memory allocates it, which counts as writing to it.
inline thread_local volatile char first_touch;

template <typename Function>
void in_a_thread(const Function& function) {
  std::exception_ptr failure;
  std::thread([&] {
    const Unwatched unwatched;
    first_touch = 0;
    try {
      function();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace cuda_emulation

#else
#define __shared__ static  // one block runs at a time

namespace cuda_emulation {

constexpr bool kRaces = false;

struct Unwatched {};
inline void* new_fiber() { return nullptr; }
inline void end_fiber(void*) {}
inline void* this_fiber() { return nullptr; }
inline void switch_to_fiber(void*) {}
inline void arrive(void*) {}
inline void leave(void*) {}

template <typename Function>
void in_a_thread(const Function& function) {
  function();
}

}  // namespace cuda_emulation
#endif
