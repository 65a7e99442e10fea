// The kernels' host functions for ctypes, on the CPU's memory. Each returns null, or what went wrong.
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/element.h"
#include "cuda/kernels.h"
#include "cuda_runtime.h"

using namespace fasterfpn::cuda;
using fasterfpn::ideas_of;

namespace {

template <typename Function>
const char* guarded(uint64_t seed, const Function& function) {
  static std::string message;
  cuda_emulation::machine.seed = seed;
  try {
    function();
    return nullptr;
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
}

}  // namespace

extern "C" {

const char* emulated_nms(const NmsInput* input, int64_t version, int64_t chunk, uint64_t seed, bool* keep) {
  return guarded(seed, [&] {
    const NmsIdeas& ideas = ideas_of(kNmsVersions, version);
    std::vector<char> workspace(nms_workspace(*input, ideas, chunk), char(0xcd));
    nms(*input, ideas, workspace.data(), keep, nullptr, chunk);
  });
}

int64_t emulated_nms_workspace(int64_t count, bool segments, bool wide, int64_t version) {
  const int64_t any = 0;
  return nms_workspace({nullptr, nullptr, segments ? &any : nullptr, count, wide, 0.5},
                       ideas_of(kNmsVersions, version));
}

const char* emulated_roi_max_pool(const Pyramid* features, int type, const Rois* rois, int64_t size, void* values,
                                  const ArgMax* argmax, int64_t version, uint64_t seed) {
  return guarded(seed, [&] {
    const PoolingIdeas& ideas = ideas_of(kPoolingVersions, version);
    roi_max_pool(*features, static_cast<Type>(type), *rois, size, values, *argmax, ideas, nullptr);
  });
}

const char* emulated_roi_max_pool_backward(const Pyramid* gradients, int type, const Rois* rois, int64_t bins,
                                           const void* grad, const ArgMax* argmax, int64_t version, uint64_t seed) {
  return guarded(seed, [&] {
    const PoolingIdeas& ideas = ideas_of(kPoolingVersions, version);
    std::vector<char> workspace(roi_max_pool_backward_workspace(*rois, bins, ideas), char(0xcd));
    roi_max_pool_backward(*gradients, static_cast<Type>(type), *rois, bins, grad, *argmax, ideas, workspace.data(),
                          nullptr);
  });
}

void emulated_widen(const uint16_t* bits, int64_t count, float* half, float* bfloat16) {
  for (int64_t n = 0; n < count; ++n) half[n] = widen(Half{bits[n]}), bfloat16[n] = widen(BFloat16{bits[n]});
}
}
