// What the versions of RoI max pooling on the CPU share: the RoIs' bins, the maps in memory, how work is handed out.
//
// N images, R RoIs, C channels, S x S bins.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "arguments.h"
#include "arithmetic.h"
#include "vectorise.h"

namespace fasterfpn::cpu {

// The type to compare and to add in: float for the half types.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The type of an arg-max in a register: as wide as a float or a double.
template <typename Index>
using Lane = std::conditional_t<sizeof(Index) == 8, int64_t, int32_t>;

// Where a RoI is pooled: its image and level, and the cells of its bins, S spans for y and then S for x in `bins`.
struct Region {
  int64_t image, level;
  const Span* bins;
};

// The RoIs of one call, their values checked, with all their bins.
class Regions {
 public:
  Regions(const Tensor& rois, const Tensor& levels, const std::vector<Shape>& shapes,
          const std::vector<double>& spatial_scales, int64_t output_size)
      : output_size_(output_size) {
    if (rois.scalar_type() == ScalarType::Float) {
      fill<float>(rois, levels, shapes, spatial_scales);
    } else {
      fill<double>(rois, levels, shapes, spatial_scales);
    }
  }

  int64_t size() const { return static_cast<int64_t>(images_.size()); }
  int64_t output_size() const { return output_size_; }
  Region operator[](int64_t r) const { return {images_[r], levels_[r], spans_.data() + 2 * output_size_ * r}; }

 private:
  template <typename T>
  void fill(const Tensor& rois, const Tensor& levels, const std::vector<Shape>& shapes,
            const std::vector<double>& spatial_scales) {
    const Tensor dense_rois = torch::stable::contiguous(rois), dense_levels = torch::stable::contiguous(levels);
    const T* roi = dense_rois.const_data_ptr<T>();
    const int64_t* level = dense_levels.const_data_ptr<int64_t>();
    const int64_t count = rois.size(0), level_count = static_cast<int64_t>(shapes.size());
    for (int64_t r = 0; r < count; ++r, roi += 5) {
      check(std::all_of(roi, roi + 5, [](T x) { return std::isfinite(x); }), "rois[", r, "]: must be finite");
      check(level[r] >= 0 && level[r] < level_count, "levels[", r, "]: ", level[r], " is out of range for ",
            level_count, " levels");
      const Shape& shape = shapes[level[r]];
      const bool known = roi[0] >= 0 && roi[0] < shape.images && roi[0] == std::trunc(roi[0]);
      check(known, "rois[", r, "]: batch index ", roi[0], " is no integer in [0, ", shape.images, ")");
      images_.push_back(static_cast<int64_t>(roi[0]));
      levels_.push_back(level[r]);
      const T scale = static_cast<T>(spatial_scales[level[r]]);
      Side<T> y(roi[2], roi[4], scale, output_size_), x(roi[1], roi[3], scale, output_size_);
      for (int64_t i = 0; i < output_size_; ++i) spans_.push_back(y.bin(i, shape.height));
      for (int64_t i = 0; i < output_size_; ++i) spans_.push_back(x.bin(i, shape.width));
    }
  }

  int64_t output_size_;
  std::vector<int64_t> images_, levels_;
  std::vector<Span> spans_;
};

// One level's features; the channels of a cell lie side by side.
template <typename T>
struct FeatureMap {
  const T* data;
  int64_t channels, width;
  int64_t image_stride, row_stride, column_stride;

  explicit FeatureMap(const Tensor& feature)
      : data(static_cast<const T*>(feature.const_data_ptr())), channels(feature.size(1)), width(feature.size(3)) {
    image_stride = feature.stride(0), row_stride = feature.stride(2), column_stride = feature.stride(3);
  }
};

#if defined(__GNUC__)
#define FASTERFPN_QUADS
// Four numbers in a vector of GCC's and Clang's own kind, which every x86-64 and arm64 has registers for. Of the loops
// below GCC makes one load and one store a number.
typedef float Quad __attribute__((vector_size(16)));

ALWAYS_INLINE Quad load(const float* from) {
  Quad quad;
  std::memcpy(&quad, from, sizeof quad);
  return quad;
}

ALWAYS_INLINE void store(float* to, Quad quad) { std::memcpy(to, &quad, sizeof quad); }

// to = the transpose of four rows of four numbers.
ALWAYS_INLINE void turn_quads(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const Quad a = load(from), b = load(from + from_stride), c = load(from + 2 * from_stride),
             d = load(from + 3 * from_stride);
  const Quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store(to, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
  store(to + to_stride, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
  store(to + 2 * to_stride, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
  store(to + 3 * to_stride, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
}
#endif

// to (columns, rows) = the transpose of from (rows, columns); their rows lie a stride apart. `to` is written row by
// row, for it is the one that is not in a cache yet.
template <typename From, typename To>
ALWAYS_INLINE void turn(const From* __restrict from, int64_t from_stride, To* __restrict to, int64_t to_stride,
                        int64_t rows, int64_t columns) {
  int64_t column = 0;
#ifdef FASTERFPN_QUADS
  if constexpr (std::is_same_v<From, float> && std::is_same_v<To, float>) {
    for (; column + 4 <= columns; column += 4) {
      int64_t row = 0;
      for (; row + 4 <= rows; row += 4) {
        turn_quads(from + row * from_stride + column, from_stride, to + column * to_stride + row, to_stride);
      }
      for (; row < rows; ++row) {
        for (int64_t k = column; k < column + 4; ++k) to[k * to_stride + row] = from[row * from_stride + k];
      }
    }
  }
#endif
  for (; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row) {
      to[column * to_stride + row] = static_cast<To>(from[row * from_stride + column]);
    }
  }
}

// Runs tasks 0, ..., count - 1 on torch's threads. make() gives each thread its own task(i), with memory of its own. A
// thread takes the next task when it is done with its last: the shares come out even however unlike the tasks are, and
// neighbours run at about the same time, on data that they share. What a task computes must not depend on who runs it.
template <typename Make>
void hand_out(int64_t count, const Make& make) {
  std::atomic<int64_t> next{0};
  const int64_t threads = std::min<int64_t>(torch::stable::get_num_threads(), count);
  torch::stable::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    auto task = make();
    for (int64_t i = next++; i < count; i = next++) task(i);
  });
}

}  // namespace fasterfpn::cpu
