// What the kernels of RoI max pooling share, forward and backward: reading RoIs and arg-max, and the choice of the
// type.
#pragma once

#include "element.h"
#include "kernels.h"
#include "launch.h"

namespace fasterfpn::cuda {

constexpr int kPitch = kWarp + 1;  // numbers from one bin or cell to the next in shared memory: no bank conflicts

__device__ inline bool is_finite(double x) { return x - x == 0; }

// Element n of the RoIs' (R, 5); double holds a float exactly.
__device__ inline double corner(const Rois& rois, int64_t n) {
  return rois.wide ? static_cast<const double*>(rois.corners)[n] : static_cast<const float*>(rois.corners)[n];
}

__device__ inline int64_t read(const ArgMax& argmax, int64_t n) {
  return argmax.large ? static_cast<const int64_t*>(argmax.cells)[n] : static_cast<const int32_t*>(argmax.cells)[n];
}

__device__ inline void write(const ArgMax& argmax, int64_t n, int64_t cell) {
  if (argmax.large) {
    static_cast<int64_t*>(argmax.cells)[n] = cell;
  } else {
    static_cast<int32_t*>(argmax.cells)[n] = static_cast<int32_t>(cell);
  }
}

// Level and image of a RoI, if it has them.
struct Place {
  bool good;
  int64_t level, image;
};

__device__ inline Place place(const Rois& rois, int64_t r, int64_t depth, int64_t images) {
  const int64_t level = rois.levels[r];
  const double batch = corner(rois, 5 * r);
  bool good = level >= 0 && level < depth && batch >= 0 && batch < static_cast<double>(images);
  good = good && batch == std::trunc(batch);
  for (int k = 1; k < 5; ++k) good = good && is_finite(corner(rois, 5 * r + k));
  return good ? Place{true, level, static_cast<int64_t>(batch)} : Place{false, 0, 0};
}

// Calls function(E{}) for the type of an element.
template <typename Function>
void dispatch(Type type, const Function& function) {
  switch (type) {
    case Type::kFloat:
      return function(float{});
    case Type::kDouble:
      return function(double{});
    case Type::kBFloat16:
      return function(BFloat16{});
    case Type::kHalf:
      return function(Half{});
  }
}

}  // namespace fasterfpn::cuda
