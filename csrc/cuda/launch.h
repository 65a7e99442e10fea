// How kernels are launched and get shared memory of a size known at run time: one macro each, for these two are not
// C++. A compiler of C++ alone, as for the tests' emulation of CUDA on the CPU, defines both macros before this file.
//
// The kernels keep to a subset of CUDA that is easy to emulate: no library (CUB, cooperative groups), no PTX, no
// waiting between blocks, votes of whole warps only, blocks of whole warps.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#ifndef LAUNCH_KERNEL
#define LAUNCH_KERNEL(kernel, blocks, threads, shared_bytes, stream, ...) \
  kernel<<<blocks, threads, shared_bytes, stream>>>(__VA_ARGS__)
#endif

#ifndef DYNAMIC_SHARED_MEMORY
#define DYNAMIC_SHARED_MEMORY(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace fasterfpn::cuda {

constexpr unsigned kWarp = 32, kFullMask = 0xffffffffu;

// After each launch: a wrong configuration or a device without code for it shows here, not at some later call.
inline void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("fasterfpn: CUDA kernel ") + kernel + ": " + cudaGetErrorString(error));
}

// How many groups of `size` hold `count`.
__host__ __device__ constexpr int64_t groups(int64_t count, int64_t size) { return (count + size - 1) / size; }

// For dim3, which is of unsigned int.
inline dim3 blocks(int64_t x, int64_t y = 1) { return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y)); }

// The parts of one workspace, each aligned for any type.
constexpr int64_t aligned(int64_t bytes) { return groups(bytes, 256) * 256; }

}  // namespace fasterfpn::cuda
