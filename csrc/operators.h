// The operators' C++ signatures, and how they refuse an argument. fasterfpn/ops documents what they mean.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <vector>

namespace fasterfpn {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Throws std::invalid_argument, which reaches Python as ValueError. A message begins with the argument's name.
template <typename... Parts>
void check(bool good, const Parts&... message) {
  if (good) return;
  std::ostringstream text;
  (text << ... << message);
  throw std::invalid_argument(text.str());
}

inline bool is_floating_point(const Tensor& tensor) {
  const ScalarType type = tensor.scalar_type();
  return type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::BFloat16 ||
         type == ScalarType::Half;
}

// Cells per pixel of each level.
inline void check_scales(const std::vector<double>& spatial_scales, size_t levels) {
  check(spatial_scales.size() == levels, "spatial_scales: expected one for each of ", levels, " levels");
  for (const double scale : spatial_scales) {
    check(scale > 0 && std::isfinite(scale), "spatial_scales: expected finite positive numbers, got ", scale);
  }
}

// The version of a kernel that is asked for, 1 to newest; 0 means the newest.
inline int64_t checked_version(int64_t version, int64_t newest) {
  check(version >= 0 && version <= newest, "version: expected 0 to ", newest, ", got ", version);
  return version == 0 ? newest : version;
}

namespace cpu {

Tensor nms(const Tensor& boxes, const Tensor& scores, std::optional<Tensor> segments, double iou_threshold,
           int64_t version);

std::tuple<Tensor, Tensor> roi_max_pool(std::vector<Tensor> features, const Tensor& rois, const Tensor& levels,
                                        std::vector<double> spatial_scales, int64_t output_size, bool with_argmax,
                                        int64_t version);

std::vector<Tensor> roi_max_pool_backward(const Tensor& grad, const Tensor& rois, const Tensor& levels,
                                          const Tensor& argmax, std::vector<int64_t> feature_shapes,
                                          std::vector<double> spatial_scales, bool channels_last, int64_t version);

}  // namespace cpu
}  // namespace fasterfpn
