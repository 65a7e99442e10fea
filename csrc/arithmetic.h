// The arithmetic that decides, shared by every kernel on every device: what overlaps, and which cells a bin covers.
//
// T is the working type, float or double. Each operation is rounded in it, in the order written here, which is that of
// fasterfpn/ops/reference.py. No operation may be contracted to a fused multiply-add: build with -ffp-contract=off and,
// for CUDA, -fmad=false. This file includes nothing of torch.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#ifdef __CUDACC__
#define FASTERFPN_HOST_DEVICE __host__ __device__
#else
#define FASTERFPN_HOST_DEVICE
#endif

namespace fasterfpn {

template <typename T>
FASTERFPN_HOST_DEVICE inline T smaller(T a, T b) {
  return a < b ? a : b;
}

template <typename T>
FASTERFPN_HOST_DEVICE inline T larger(T a, T b) {
  return a > b ? a : b;
}

// ---------------------------------------------------------------------------------------- non-maximum suppression

// Corners in pixels, x to the right, y down.
template <typename T>
struct Box {
  T x1, y1, x2, y2;
};

template <typename T>
FASTERFPN_HOST_DEVICE inline T area(const Box<T>& box) {
  return (box.x2 - box.x1) * (box.y2 - box.y1);
}

// inter / ((area_a + area_b) - inter). With an empty box inter is 0, the result 0 or NaN: neither exceeds a threshold.
template <typename T>
FASTERFPN_HOST_DEVICE inline T iou(const Box<T>& a, T area_a, const Box<T>& b, T area_b) {
  const T width = larger(smaller(a.x2, b.x2) - larger(a.x1, b.x1), T(0));
  const T height = larger(smaller(a.y2, b.y2) - larger(a.y1, b.y1), T(0));
  const T inter = width * height;
  return inter / ((area_a + area_b) - inter);
}

// The largest T not above the threshold: a T exceeds the one exactly where it exceeds the other.
template <typename T>
inline T round_down(double threshold) {
  const T rounded = static_cast<T>(threshold);
  return rounded > threshold ? std::nextafter(rounded, -std::numeric_limits<T>::infinity()) : rounded;
}

// ------------------------------------------------------------------------------------------------ RoI max pooling

// The cells begin, begin + 1, ..., end - 1; none if end <= begin.
struct Span {
  int64_t begin, end;
};

// The cell of a coordinate given in cells: clamped to +-2^24 and rounded, halves away from zero. Not floor(x + 0.5): it
// takes 0.49999997 to 1.
template <typename T>
FASTERFPN_HOST_DEVICE inline int64_t nearest_cell(T x) {
  x = larger(smaller(x, T(16777216)), T(-16777216));
  const T whole = std::trunc(x);
  const int64_t away = std::fabs(x - whole) >= T(0.5) ? (x > 0 ? 1 : -1) : 0;
  return static_cast<int64_t>(whole) + away;
}

// One side of a RoI from low to high pixels, cut into bins; the cells of both corners belong to it.
template <typename T>
struct Side {
  int64_t start;
  T bin_width;  // in cells
  bool inverted;

  FASTERFPN_HOST_DEVICE Side(T low, T high, T scale, int64_t bins) : inverted(high < low) {
    start = nearest_cell(low * scale);
    bin_width = static_cast<T>(nearest_cell(high * scale) - start + 1) / static_cast<T>(bins);
  }

  // The cells of bin i on a map that has `cells` of them. Rounding may take the last bin one cell past the corner's.
  FASTERFPN_HOST_DEVICE Span bin(int64_t i, int64_t cells) const {
    if (inverted) return {0, 0};
    const int64_t begin = start + static_cast<int64_t>(std::floor(static_cast<T>(i) * bin_width));
    const int64_t end = start + static_cast<int64_t>(std::ceil(static_cast<T>(i + 1) * bin_width));
    return {larger<int64_t>(smaller(begin, cells), 0), larger<int64_t>(smaller(end, cells), 0)};
  }
};

}  // namespace fasterfpn
