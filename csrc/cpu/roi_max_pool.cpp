// RoI max pooling over the levels of a pyramid on the CPU, forward and backward.
//
// R RoIs, C channels, S x S bins. v1: RoIs in parallel; for each bin a loop over its cells with the channels innermost:
// in channels-last memory, which other input is copied to, they lie side by side, so that the compiler compares several
// at once. Backward: no two threads share an element of the gradient, and each adds the RoIs in order: the same sum for
// any number of threads.
#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <type_traits>

#include "arithmetic.h"
#include "operators.h"
#include "vectorise.h"

#define DISPATCH_FEATURES(TYPE, NAME, BODY) \
  THO_DISPATCH_V2(TYPE, NAME, AT_WRAP(BODY), AT_FLOATING_TYPES, ScalarType::BFloat16, ScalarType::Half)

namespace fasterfpn::cpu {
namespace {

using torch::headeronly::MemoryFormat;

// The type to compare and to add in: float for the half types.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

struct Shape {
  int64_t images, channels, height, width;
};

// Where a RoI is pooled: its image and level, and the cells of its bins, S spans for y and then S for x in `bins`.
struct Region {
  int64_t image, level;
  const Span* bins;
};

// The RoIs of one call, checked, with all their bins.
class Regions {
 public:
  Regions(const Tensor& rois, const Tensor& levels, const std::vector<Shape>& shapes,
          const std::vector<double>& spatial_scales, int64_t output_size)
      : output_size_(output_size) {
    check(rois.dim() == 2 && rois.size(1) == 5, "rois: expected shape (R, 5)");
    check(rois.is_cpu(), "rois: expected on the CPU, as features");
    const ScalarType type = rois.scalar_type();
    check(type == ScalarType::Float || type == ScalarType::Double, "rois: expected float32 or float64");
    check(levels.dim() == 1 && levels.size(0) == rois.size(0), "levels: expected shape (", rois.size(0), ",)");
    check(levels.scalar_type() == ScalarType::Long, "levels: expected int64");
    check(levels.is_cpu(), "levels: expected on the CPU, as features");
    if (type == ScalarType::Float) {
      fill<float>(rois, levels, shapes, spatial_scales);
    } else {
      fill<double>(rois, levels, shapes, spatial_scales);
    }
  }

  int64_t size() const { return static_cast<int64_t>(images_.size()); }
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

// best[c] = max(best[c], cell[c]), and where it grew, where[c] = index. NaN compares false: it is never taken.
template <typename T, typename Index>
inline void take_larger(const T* __restrict cell, int64_t channels, Index index, Wide<T>* __restrict best,
                        Index* __restrict where) {
  for (int64_t c = 0; c < channels; ++c) {
    const Wide<T> value = static_cast<Wide<T>>(cell[c]);
    const bool more = value > best[c];
    best[c] = more ? value : best[c];
    where[c] = more ? index : where[c];
  }
}

template <typename T>
inline void take_larger(const T* __restrict cell, int64_t channels, Wide<T>* __restrict best) {
  for (int64_t c = 0; c < channels; ++c) {
    const Wide<T> value = static_cast<Wide<T>>(cell[c]);
    best[c] = value > best[c] ? value : best[c];
  }
}

// The maximum of each channel over the cells y, x of one image, and its index; the first of a tie. where may be null.
template <typename T, typename Index>
VECTORISE void pool_bin(const FeatureMap<T>& map, const T* image, Span y, Span x, Wide<T>* best, Index* where) {
  const bool empty = y.end <= y.begin || x.end <= x.begin;
  std::fill_n(best, map.channels, empty ? Wide<T>(0) : -std::numeric_limits<Wide<T>>::infinity());
  if (where) std::fill_n(where, map.channels, Index(-1));
  for (int64_t row = y.begin; row < y.end; ++row) {
    for (int64_t column = x.begin; column < x.end; ++column) {
      const T* cell = image + row * map.row_stride + column * map.column_stride;
      if (where) {
        take_larger(cell, map.channels, static_cast<Index>(row * map.width + column), best, where);
      } else {
        take_larger(cell, map.channels, best);
      }
    }
  }
}

// values and argmax are (R, C, S, S); argmax may be null.
template <typename T, typename Index>
void pool(const std::vector<FeatureMap<T>>& maps, const Regions& regions, int64_t output_size, T* values,
          Index* argmax) {
  const int64_t channels = maps[0].channels, bins = output_size * output_size;
  torch::stable::parallel_for(0, regions.size(), 1, [&](int64_t begin, int64_t end) {
    std::vector<Wide<T>> best(channels);
    std::vector<Index> where(argmax ? channels : 0);
    for (int64_t r = begin; r < end; ++r) {
      const Region region = regions[r];
      const FeatureMap<T>& map = maps[region.level];
      const T* image = map.data + region.image * map.image_stride;
      for (int64_t bin = 0; bin < bins; ++bin) {
        const Span y = region.bins[bin / output_size], x = region.bins[output_size + bin % output_size];
        pool_bin(map, image, y, x, best.data(), argmax ? where.data() : nullptr);
        const int64_t first = r * channels * bins + bin;
        for (int64_t c = 0; c < channels; ++c) values[first + c * bins] = static_cast<T>(best[c]);
        if (!argmax) continue;
        for (int64_t c = 0; c < channels; ++c) argmax[first + c * bins] = where[c];
      }
    }
  });
}

// Adds grad (R, C, S * S) to the cells that argmax names in the levels' gradients; false if some are not on the map.
template <typename T, typename Index>
bool scatter(const T* grad, const Index* argmax, const Regions& regions, const std::vector<Shape>& shapes, int64_t bins,
             std::vector<Tensor>& gradients, bool channels_last) {
  constexpr int64_t kBlock = 16;  // channels of a thread: 64 bytes of float, so that threads do not share cache lines
  const int64_t channels = shapes[0].channels, blocks = (channels + kBlock - 1) / kBlock;
  std::vector<Wide<T>*> data;
  for (const Tensor& gradient : gradients) data.push_back(static_cast<Wide<T>*>(gradient.mutable_data_ptr()));
  std::atomic<bool> good{true};
  torch::stable::parallel_for(0, shapes[0].images * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < regions.size(); ++r) {
      const Region region = regions[r];
      const int64_t cells = shapes[region.level].height * shapes[region.level].width;
      const int64_t cell_stride = channels_last ? channels : 1, channel_stride = channels_last ? 1 : cells;
      // This thread's channels of this image: its tasks image * blocks + block are neighbours.
      const int64_t first = std::clamp(begin - region.image * blocks, int64_t(0), blocks) * kBlock;
      const int64_t last = std::min(std::clamp(end - region.image * blocks, int64_t(0), blocks) * kBlock, channels);
      for (int64_t c = first; c < last; ++c) {
        const int64_t bin = (r * channels + c) * bins;
        Wide<T>* plane = data[region.level] + region.image * channels * cells + c * channel_stride;
        for (int64_t b = bin; b < bin + bins; ++b) {
          const int64_t cell = argmax[b];
          if (cell >= 0 && cell < cells) {
            plane[cell * cell_stride] += static_cast<Wide<T>>(grad[b]);
          } else if (cell != -1) {
            good = false;
          }
        }
      }
    }
  });
  return good;
}

std::vector<Shape> checked_shapes(const std::vector<Tensor>& features) {
  check(!features.empty(), "features: expected at least one level");
  std::vector<Shape> shapes;
  for (size_t l = 0; l < features.size(); ++l) {
    const Tensor& feature = features[l];
    check(feature.dim() == 4, "features[", l, "]: expected shape (N, C, H, W)");
    check(feature.size(0) == features[0].size(0) && feature.size(1) == features[0].size(1), "features[", l,
          "]: expected the N, C of level 0");
    check(is_floating_point(feature), "features[", l, "]: expected floating point");
    check(feature.scalar_type() == features[0].scalar_type(), "features[", l, "]: expected the type of level 0");
    check(feature.is_cpu(), "features[", l, "]: expected on the CPU");
    shapes.push_back({feature.size(0), feature.size(1), feature.size(2), feature.size(3)});
  }
  return shapes;
}

}  // namespace

std::tuple<Tensor, Tensor> roi_max_pool(std::vector<Tensor> features, const Tensor& rois, const Tensor& levels,
                                        std::vector<double> spatial_scales, int64_t output_size, bool with_argmax,
                                        int64_t version) {
  checked_version(version, 1);
  const std::vector<Shape> shapes = checked_shapes(features);
  check(spatial_scales.size() == shapes.size(), "spatial_scales: expected one for each of ", shapes.size(), " levels");
  for (const double scale : spatial_scales) {
    check(scale > 0 && std::isfinite(scale), "spatial_scales: expected finite positive numbers, got ", scale);
  }
  check(output_size >= 1, "output_size: expected at least 1, got ", output_size);
  const Regions regions(rois, levels, shapes, spatial_scales, output_size);
  for (Tensor& feature : features) {
    if (shapes[0].channels > 1 && feature.stride(1) != 1) {
      feature = torch::stable::contiguous(feature, MemoryFormat::ChannelsLast);
    }
  }

  const bool large = std::any_of(shapes.begin(), shapes.end(),
                                 [](const Shape& s) { return s.height * s.width > std::numeric_limits<int>::max(); });
  const std::vector<int64_t> size{regions.size(), shapes[0].channels, output_size, output_size};
  Tensor values = torch::stable::new_empty(features[0], size);
  Tensor argmax = torch::stable::new_empty(features[0], with_argmax ? size : std::vector<int64_t>{0},
                                           large ? ScalarType::Long : ScalarType::Int);
  DISPATCH_FEATURES(features[0].scalar_type(), "roi_max_pool", [&] {
    const std::vector<FeatureMap<scalar_t>> maps(features.begin(), features.end());
    scalar_t* out = static_cast<scalar_t*>(values.mutable_data_ptr());
    if (large) {
      pool(maps, regions, output_size, out, with_argmax ? argmax.mutable_data_ptr<int64_t>() : nullptr);
    } else {
      pool(maps, regions, output_size, out, with_argmax ? argmax.mutable_data_ptr<int32_t>() : nullptr);
    }
  });
  return {values, argmax};
}

std::vector<Tensor> roi_max_pool_backward(const Tensor& grad, const Tensor& rois, const Tensor& levels,
                                          const Tensor& argmax, std::vector<int64_t> feature_shapes, bool channels_last,
                                          int64_t version) {
  checked_version(version, 1);
  check(!feature_shapes.empty() && feature_shapes.size() % 4 == 0, "feature_shapes: expected N, C, H, W of each level");
  std::vector<Shape> shapes;
  for (const int64_t* n = feature_shapes.data(); n != feature_shapes.data() + feature_shapes.size(); n += 4) {
    check(std::all_of(n, n + 4, [](int64_t x) { return x >= 0; }), "feature_shapes: expected no negative size");
    check(n[0] == feature_shapes[0] && n[1] == feature_shapes[1], "feature_shapes: expected one N, C for all levels");
    shapes.push_back({n[0], n[1], n[2], n[3]});
  }
  check(is_floating_point(grad), "grad: expected floating point");
  check(grad.dim() == 4 && grad.size(1) == shapes[0].channels, "grad: expected shape (R, C, S, S)");
  const bool small = argmax.scalar_type() == ScalarType::Int;
  check(small || argmax.scalar_type() == ScalarType::Long, "argmax: expected int32 or int64");
  check(argmax.is_cpu() && argmax.dim() == 4, "argmax: expected shape (R, C, S, S) on the CPU");
  for (int64_t i = 0; i < 4; ++i) check(argmax.size(i) == grad.size(i), "argmax: expected the shape of grad");
  // Only image and level are used here, not the bins.
  const Regions regions(rois, levels, shapes, std::vector<double>(shapes.size(), 1.0), 1);
  check(grad.size(0) == regions.size(), "grad: expected as many rows as rois");

  const ScalarType wide = grad.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  const MemoryFormat format = channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous;
  std::vector<Tensor> gradients;
  for (const Shape& s : shapes) {
    gradients.push_back(torch::stable::empty({s.images, s.channels, s.height, s.width}, wide, std::nullopt,
                                             grad.device(), std::nullopt, format));
    torch::stable::zero_(gradients.back());
  }
  const Tensor dense_grad = torch::stable::contiguous(grad), dense_argmax = torch::stable::contiguous(argmax);
  const int64_t bins = grad.size(2) * grad.size(3);
  DISPATCH_FEATURES(grad.scalar_type(), "roi_max_pool_backward", [&] {
    const scalar_t* out = static_cast<const scalar_t*>(dense_grad.const_data_ptr());
    const bool good =
        small ? scatter(out, dense_argmax.const_data_ptr<int32_t>(), regions, shapes, bins, gradients, channels_last)
              : scatter(out, dense_argmax.const_data_ptr<int64_t>(), regions, shapes, bins, gradients, channels_last);
    check(good, "argmax: holds an index outside the RoI's level");
  });
  for (Tensor& gradient : gradients) gradient = torch::stable::to(gradient, grad.scalar_type());
  return gradients;
}

}  // namespace fasterfpn::cpu
