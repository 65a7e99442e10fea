// Kernels that a GPU would hang on, or give nonsense for: the emulation is to say what is wrong with them.
#include <cstring>
#include <string>

#include "cuda_runtime.h"

namespace {

__global__ void some_reach_the_barrier() {
  if (threadIdx.x < 40) __syncthreads();
}

__global__ void two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void half_a_warp_votes() {
  if (threadIdx.x < 16) __any_sync(0xffffffffu, true);
}

__global__ void mask_of_half_a_warp() { __any_sync(0x0000ffffu, true); }

__global__ void lanes(int* out) {
  __shared__ int sum;
  if (threadIdx.x == 0) sum = 0;
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x % 32);
  atomicAdd(&sum, __shfl_sync(0xffffffffu, lane, 3) + __shfl_xor_sync(0xffffffffu, lane, 1) - lane);
  atomicAdd(&sum, __shfl_down_sync(0xffffffffu, lane, 1));  // the last lane has none below it and keeps its own
  __syncthreads();
  out[threadIdx.x] = sum + static_cast<int>(__ballot_sync(0xffffffffu, lane < 2));
}

__global__ void nothing() {}

}  // namespace

// What the emulation says of each, or null.
extern "C" const char* misuse(int which, uint64_t seed, int* out) {
  static std::string message;
  cuda_emulation::machine.seed = seed;
  try {
    if (which == 0) LAUNCH_KERNEL(some_reach_the_barrier, 1, 64, 0, nullptr);
    if (which == 1) LAUNCH_KERNEL(two_barriers, 1, 64, 0, nullptr);
    if (which == 2) LAUNCH_KERNEL(half_a_warp_votes, 1, 64, 0, nullptr);
    if (which == 3) LAUNCH_KERNEL(mask_of_half_a_warp, 1, 64, 0, nullptr);
    if (which == 4) LAUNCH_KERNEL(nothing, 1, 33, 0, nullptr);
    if (which == 5) LAUNCH_KERNEL(nothing, 0, 32, 0, nullptr);
    if (which == 6) LAUNCH_KERNEL(nothing, 1, 2048, 0, nullptr);
    if (which == 7) LAUNCH_KERNEL(nothing, dim3(1, 70000), 32, 0, nullptr);
    if (which == 8) LAUNCH_KERNEL(nothing, 1, 32, 50000, nullptr);
    if (which == 9) LAUNCH_KERNEL(lanes, 1, 64, 0, nullptr, out);
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
