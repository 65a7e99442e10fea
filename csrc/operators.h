// The operators' C++ signatures. fasterfpn/ops documents what they mean.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "versions.h"

namespace fasterfpn {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

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
