// What the operators check of their arguments on every device: shapes, types, devices and settings. Values (NaN, batch
// indices, levels) are checked by the CPU kernels, which read them; on CUDA that would be to wait for the device.
#pragma once

#include <cmath>

#include "operators.h"

namespace fasterfpn {

inline bool is_floating_point(const Tensor& tensor) {
  const ScalarType type = tensor.scalar_type();
  return type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::BFloat16 ||
         type == ScalarType::Half;
}

// The type in which the coordinates of `tensor` are computed with.
inline ScalarType working_type(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline void check_device(const char* name, const Tensor& tensor, const char* first_name, const Tensor& first) {
  check(tensor.device() == first.device(), name, ": expected the device of ", first_name);
}

inline void check_nms(const Tensor& boxes, const Tensor& scores, const std::optional<Tensor>& segments,
                      double iou_threshold) {
  check(boxes.dim() == 2 && boxes.size(1) == 4, "boxes: expected shape (N, 4)");
  check(is_floating_point(boxes), "boxes: expected floating point");
  const int64_t count = boxes.size(0);
  check(scores.dim() == 1 && scores.size(0) == count, "scores: expected shape (", count, ",)");
  check(is_floating_point(scores), "scores: expected floating point");
  check_device("scores", scores, "boxes", boxes);
  if (segments) {
    check(segments->dim() == 1 && segments->size(0) == count, "segments: expected shape (", count, ",)");
    check(segments->scalar_type() == ScalarType::Long, "segments: expected int64");
    check_device("segments", *segments, "boxes", boxes);
  }
  check(iou_threshold >= 0 && iou_threshold <= 1, "iou_threshold: expected a number in [0, 1], got ", iou_threshold);
}

// N, C, H, W of one level.
struct Shape {
  int64_t images, channels, height, width;
};

// `first`: a tensor of the features' device.
inline void check_rois(const Tensor& rois, const Tensor& levels, const Tensor& first) {
  check(rois.dim() == 2 && rois.size(1) == 5, "rois: expected shape (R, 5)");
  const ScalarType type = rois.scalar_type();
  check(type == ScalarType::Float || type == ScalarType::Double, "rois: expected float32 or float64");
  check(levels.dim() == 1 && levels.size(0) == rois.size(0), "levels: expected shape (", rois.size(0), ",)");
  check(levels.scalar_type() == ScalarType::Long, "levels: expected int64");
  check_device("rois", rois, "features", first);
  check_device("levels", levels, "features", first);
}

inline void check_scales(const std::vector<double>& spatial_scales, size_t levels) {
  check(spatial_scales.size() == levels, "spatial_scales: expected one for each of ", levels, " levels");
  for (const double scale : spatial_scales) {
    check(scale > 0 && std::isfinite(scale), "spatial_scales: expected finite positive numbers, got ", scale);
  }
}

// The shapes of the levels, once all arguments are found good.
inline std::vector<Shape> check_pooling(const std::vector<Tensor>& features, const Tensor& rois, const Tensor& levels,
                                        const std::vector<double>& spatial_scales, int64_t output_size) {
  check(!features.empty(), "features: expected at least one level");
  const Tensor& first = features[0];
  std::vector<Shape> shapes;
  for (size_t l = 0; l < features.size(); ++l) {
    const Tensor& feature = features[l];
    check(feature.dim() == 4, "features[", l, "]: expected shape (N, C, H, W)");
    check(feature.size(0) == first.size(0) && feature.size(1) == first.size(1), "features[", l,
          "]: expected the N, C of level 0");
    check(is_floating_point(feature), "features[", l, "]: expected floating point");
    check(feature.scalar_type() == first.scalar_type(), "features[", l, "]: expected the type of level 0");
    check(feature.device() == first.device(), "features[", l, "]: expected the device of level 0");
    shapes.push_back({feature.size(0), feature.size(1), feature.size(2), feature.size(3)});
  }
  check_scales(spatial_scales, features.size());
  check(output_size >= 1, "output_size: expected at least 1, got ", output_size);
  check_rois(rois, levels, first);
  return shapes;
}

// The same for the gradient; feature_shapes: N, C, H, W of each level, one after the other.
inline std::vector<Shape> check_pooling_backward(const Tensor& grad, const Tensor& rois, const Tensor& levels,
                                                 const Tensor& argmax, const std::vector<int64_t>& feature_shapes,
                                                 const std::vector<double>& spatial_scales) {
  const size_t count = feature_shapes.size();
  check(count > 0 && count % 4 == 0, "feature_shapes: expected N, C, H, W of each level");
  std::vector<Shape> shapes;
  for (const int64_t* n = feature_shapes.data(); n != feature_shapes.data() + count; n += 4) {
    for (int i = 0; i < 4; ++i) check(n[i] >= 0, "feature_shapes: expected no negative size");
    shapes.push_back({n[0], n[1], n[2], n[3]});
    const bool alike = n[0] == feature_shapes[0] && n[1] == feature_shapes[1];
    check(alike, "feature_shapes: expected one N, C for all levels");
  }
  check_scales(spatial_scales, shapes.size());
  check(is_floating_point(grad), "grad: expected floating point");
  const bool square = grad.dim() == 4 && grad.size(2) == grad.size(3) && grad.size(2) >= 1;
  check(square && grad.size(1) == shapes[0].channels, "grad: expected shape (R, C, S, S)");
  check_rois(rois, levels, grad);
  check(grad.size(0) == rois.size(0), "grad: expected as many rows as rois");
  check(argmax.dim() == 4, "argmax: expected shape (R, C, S, S)");
  for (int64_t i = 0; i < 4; ++i) check(argmax.size(i) == grad.size(i), "argmax: expected the shape of grad");
  check_device("argmax", argmax, "grad", grad);
  return shapes;
}

}  // namespace fasterfpn
