// Kernels with a race and their like without one: ThreadSanitizer is to tell them apart, the results do not matter.
#include "cuda_runtime.h"

namespace {

// Thread 0 writes, the others read.
template <typename Between>
void write_and_read(const Between& between) {
  __shared__ int shared;
  if (threadIdx.x == 0) shared = 1;
  between();
  const volatile int seen = shared;
  (void)seen;
}

__global__ void nothing_between() {
  write_and_read([] {});
}

__global__ void barrier_between() {
  write_and_read([] { __syncthreads(); });
}

__global__ void vote_between() {
  write_and_read([] { __any_sync(0xffffffffu, true); });
}

__global__ void warp_barrier_between() {
  write_and_read([] { __syncwarp(); });
}

__global__ void shared_array() {
  DYNAMIC_SHARED_MEMORY(bytes);
  bytes[threadIdx.x] = 1;
  __syncthreads();
  bytes[(threadIdx.x + 1) % blockDim.x] = 2;
}

// The second barrier is missing: a fast thread may write again while a slow one reads.
__global__ void one_barrier_a_round() {
  __shared__ int turn;
  for (int round = 0; round < 3; ++round) {
    if (threadIdx.x == 0) turn = round;
    __syncthreads();
    const volatile int seen = turn;
    (void)seen;
  }
}

__global__ void add(int* sum) { ++*sum; }
__global__ void add_atomically(int* sum) { atomicAdd(sum, 1); }
__global__ void store(int* place) { *place = 1; }
__global__ void store_volatile(int* place) { *static_cast<volatile int*>(place) = 1; }
__global__ void own_element(int* out) { out[blockIdx.x * blockDim.x + threadIdx.x] += 1; }

// The other threads do not see what thread 0 wrote before it counted: an atomic orders its own place only.
__global__ void message(int* out) {
  if (threadIdx.x == 0) out[1] = 1, atomicAdd(out, 1);
  if (threadIdx.x == 1 && atomicAdd(out, 0) == 1) out[1] = 2;
}

}  // namespace

extern "C" void races(int which, uint64_t seed, int* out) {
  cuda_emulation::machine.seed = seed;
  const auto launch = [&](auto kernel, dim3 blocks, unsigned threads, auto... arguments) {
    LAUNCH_KERNEL(kernel, blocks, threads, 64, nullptr, arguments...);
  };
  if (which == 0) launch(nothing_between, 1, 32);
  if (which == 1) launch(barrier_between, 2, 64);
  if (which == 2) launch(vote_between, 1, 32);
  if (which == 3) launch(warp_barrier_between, 2, 32);
  if (which == 4) launch(warp_barrier_between, 1, 64);  // thread 0's write is for its own warp only
  if (which == 5) launch(shared_array, 3, 64);
  if (which == 6) launch(one_barrier_a_round, 1, 64);
  if (which == 7) launch(add, 2, 32, out);
  if (which == 8) launch(add_atomically, 2, 64, out);
  if (which == 9) launch(store, dim3(1, 2), 32, out + threadIdx.x);
  if (which == 10) launch(store_volatile, dim3(1, 2), 32, out);
  if (which == 11) launch(own_element, 2, 32, out), launch(own_element, 2, 32, out + 1);
  if (which == 12) launch(message, 1, 32, out);
  for (int n = 0; n < 66; ++n) out[n] = 0;  // after all launches
}
