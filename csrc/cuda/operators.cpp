// The CUDA kernels as torch operators: checks, memory, the order of the boxes, device and stream.
//
// Nothing here waits for the device, but for masked_select in nms, which learns the output's size. So values are not
// looked at: what the CPU refuses for its value is answered as kernels' files say.
#include "../operators.h"

#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "../arithmetic.h"
#include "kernels.h"

namespace fasterfpn::cuda {
namespace {

using torch::headeronly::MemoryFormat;
using torch::stable::accelerator::DeviceGuard;

// torch's current stream. Only a torch with CUDA has the function, and the library serves those without as well: hence
// it is looked up at run time.
void* current_stream(const Tensor& tensor) {
  using Function = AOTITorchError (*)(int32_t, void**);
  static const auto function = [] {
    void* torch_cuda = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_NOLOAD);
    void* symbol = torch_cuda ? dlsym(torch_cuda, "aoti_torch_get_current_cuda_stream") : nullptr;
    return reinterpret_cast<Function>(symbol);
  }();
  if (!function) throw std::runtime_error("fasterfpn: this torch has no CUDA (aoti_torch_get_current_cuda_stream)");
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(function(tensor.get_device_index(), &stream));
  return stream;
}

// Calls an operator of torch's by name.
template <typename... Arguments>
Tensor call(const char* name, const char* overload, const Arguments&... arguments) {
  std::array<StableIValue, sizeof...(Arguments)> stack{torch::stable::detail::from(arguments)...};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

// The indices that sort a vector; equal ones stay in their order.
Tensor sorted_indices(const Tensor& keys, bool descending) {
  using torch::stable::detail::from;
  std::array<StableIValue, 4> stack{from(keys), from(std::optional<bool>(true)), from(int64_t(0)), from(descending)};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::sort", "stable", stack.data(), TORCH_ABI_VERSION));
  torch::stable::detail::to<Tensor>(stack[0]);  // the sorted keys: taken over, and freed
  return torch::stable::detail::to<Tensor>(stack[1]);
}

Tensor select(const Tensor& tensor, const Tensor& index) {
  return call("aten::index_select", "", tensor, int64_t(0), index);
}

Tensor dense(const Tensor& tensor, ScalarType type) {
  return torch::stable::contiguous(torch::stable::to(tensor, type));
}

Tensor workspace(const Tensor& like, int64_t bytes) {
  return torch::stable::new_empty(like, {bytes}, ScalarType::Byte);
}

void check_device(const char* name, const Tensor& tensor, const Tensor& first) {
  const bool same = tensor.is_cuda() && tensor.get_device_index() == first.get_device_index();
  check(same, name, ": expected on the CUDA device ", first.get_device_index());
}

Type type_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case ScalarType::Double:
      return Type::kDouble;
    case ScalarType::BFloat16:
      return Type::kBFloat16;
    case ScalarType::Half:
      return Type::kHalf;
    default:
      return Type::kFloat;
  }
}

// The layout of the kernels' argument; strides as the tensors have them.
Pyramid pyramid_of(const std::vector<Tensor>& maps, const std::vector<double>& scales) {
  Pyramid pyramid{static_cast<int64_t>(maps.size()), maps[0].size(0), maps[0].size(1), {}};
  for (size_t l = 0; l < maps.size(); ++l) {
    const Tensor& map = maps[l];
    pyramid.levels[l] = {map.mutable_data_ptr(), map.size(2),   map.size(3),   map.stride(0),
                         map.stride(1),          map.stride(2), map.stride(3), scales[l]};
  }
  return pyramid;
}

// Of dense tensors, which must outlive it.
Rois rois_of(const Tensor& rois, const Tensor& levels) {
  return {rois.const_data_ptr(), levels.const_data_ptr<int64_t>(), rois.size(0),
          rois.scalar_type() == ScalarType::Double};
}

void check_rois(const Tensor& rois, const Tensor& levels, const Tensor& first) {
  check(rois.dim() == 2 && rois.size(1) == 5, "rois: expected shape (R, 5)");
  const ScalarType type = rois.scalar_type();
  check(type == ScalarType::Float || type == ScalarType::Double, "rois: expected float32 or float64");
  check(levels.dim() == 1 && levels.size(0) == rois.size(0), "levels: expected shape (", rois.size(0), ",)");
  check(levels.scalar_type() == ScalarType::Long, "levels: expected int64");
  check_device("rois", rois, first);
  check_device("levels", levels, first);
}

}  // namespace

namespace operators {

Tensor nms(const Tensor& boxes, const Tensor& scores, std::optional<Tensor> segments, double iou_threshold,
           int64_t version) {
  version = checked_version(version, kNmsVersions);
  check(boxes.dim() == 2 && boxes.size(1) == 4, "boxes: expected shape (N, 4)");
  check(is_floating_point(boxes), "boxes: expected floating point");
  const int64_t count = boxes.size(0);
  check(scores.dim() == 1 && scores.size(0) == count, "scores: expected shape (", count, ",)");
  check(is_floating_point(scores), "scores: expected floating point");
  check_device("scores", scores, boxes);
  if (segments) {
    check(segments->dim() == 1 && segments->size(0) == count, "segments: expected shape (", count, ",)");
    check(segments->scalar_type() == ScalarType::Long, "segments: expected int64");
    check_device("segments", *segments, boxes);
    segments = torch::stable::contiguous(*segments);
  }
  check(iou_threshold >= 0 && iou_threshold <= 1, "iou_threshold: expected a number in [0, 1], got ", iou_threshold);

  const DeviceGuard guard(boxes.get_device_index());
  const bool wide = boxes.scalar_type() == ScalarType::Double;
  const Tensor corners = dense(boxes, wide ? ScalarType::Double : ScalarType::Float);
  const Tensor by_score = sorted_indices(scores, true);
  const Tensor order = segments ? select(by_score, sorted_indices(select(*segments, by_score), false)) : by_score;
  const NmsInput input{corners.const_data_ptr(),
                       order.const_data_ptr<int64_t>(),
                       segments ? segments->const_data_ptr<int64_t>() : nullptr,
                       count,
                       wide,
                       wide ? round_down<double>(iou_threshold) : round_down<float>(iou_threshold)};
  const Tensor memory = workspace(boxes, nms_workspace(input, version));
  const Tensor keep = torch::stable::new_empty(boxes, {count}, ScalarType::Bool);
  cuda::nms(input, version, memory.mutable_data_ptr(), keep.mutable_data_ptr<bool>(), current_stream(boxes));
  return call("aten::masked_select", "", by_score, select(keep, by_score));
}

std::tuple<Tensor, Tensor> roi_max_pool(std::vector<Tensor> features, const Tensor& rois, const Tensor& levels,
                                        std::vector<double> spatial_scales, int64_t output_size, bool with_argmax,
                                        int64_t version) {
  version = checked_version(version, kPoolingVersions);
  check(!features.empty() && features.size() <= kMaxLevels, "features: expected 1 to ", kMaxLevels, " levels on CUDA");
  const Tensor first = features[0];
  bool large = false;
  for (const Tensor& feature : features) {
    check(feature.dim() == 4, "features: expected shape (N, C, H, W)");
    check(feature.size(0) == first.size(0) && feature.size(1) == first.size(1), "features: expected one N, C");
    check(is_floating_point(feature), "features: expected floating point");
    check(feature.scalar_type() == first.scalar_type(), "features: expected one type");
    check_device("features", feature, first);
    large |= feature.size(2) * feature.size(3) > std::numeric_limits<int32_t>::max();
  }
  check_scales(spatial_scales, features.size());
  check(output_size >= 1, "output_size: expected at least 1, got ", output_size);
  check_rois(rois, levels, first);

  const DeviceGuard guard(first.get_device_index());
  if (version > 1 && first.size(1) > 1) {  // v1 reads any layout as well, or as badly
    for (Tensor& feature : features) {
      if (feature.stride(1) != 1) feature = torch::stable::contiguous(feature, MemoryFormat::ChannelsLast);
    }
  }
  const Tensor corners = torch::stable::contiguous(rois), chosen = torch::stable::contiguous(levels);
  const std::vector<int64_t> size{rois.size(0), first.size(1), output_size, output_size};
  const Tensor values = torch::stable::new_empty(first, size);
  const Tensor argmax = torch::stable::new_empty(first, with_argmax ? size : std::vector<int64_t>{0},
                                                 large ? ScalarType::Long : ScalarType::Int);
  cuda::roi_max_pool(pyramid_of(features, spatial_scales), type_of(first), rois_of(corners, chosen), output_size,
                     values.mutable_data_ptr(), {with_argmax ? argmax.mutable_data_ptr() : nullptr, large}, version,
                     current_stream(first));
  return {values, argmax};
}

std::vector<Tensor> roi_max_pool_backward(const Tensor& grad, const Tensor& rois, const Tensor& levels,
                                          const Tensor& argmax, std::vector<int64_t> feature_shapes,
                                          std::vector<double> spatial_scales, bool channels_last, int64_t version) {
  version = checked_version(version, kPoolingVersions);
  const std::vector<int64_t>& shapes = feature_shapes;
  check(!shapes.empty() && shapes.size() % 4 == 0 && shapes.size() <= 4 * kMaxLevels,
        "feature_shapes: expected N, C, H, W of 1 to ", kMaxLevels, " levels");
  for (size_t n = 0; n < shapes.size(); ++n) {
    check(shapes[n] >= 0, "feature_shapes: expected no negative size");
    check(n % 4 > 1 || shapes[n] == shapes[n % 4], "feature_shapes: expected one N, C for all levels");
  }
  check_scales(spatial_scales, shapes.size() / 4);  // else not used: the arg-max says where the gradients go
  check(is_floating_point(grad), "grad: expected floating point");
  check(grad.dim() == 4 && grad.size(1) == shapes[1], "grad: expected shape (R, C, S, S)");
  check(grad.size(0) == rois.size(0), "grad: expected as many rows as rois");
  const bool large = argmax.scalar_type() == ScalarType::Long;
  check(large || argmax.scalar_type() == ScalarType::Int, "argmax: expected int32 or int64");
  check(argmax.dim() == 4, "argmax: expected shape (R, C, S, S)");
  for (int64_t i = 0; i < 4; ++i) check(argmax.size(i) == grad.size(i), "argmax: expected the shape of grad");
  check_device("argmax", argmax, grad);
  check_rois(rois, levels, grad);

  const DeviceGuard guard(grad.get_device_index());
  const ScalarType wide = grad.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  const MemoryFormat format = channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous;
  std::vector<Tensor> gradients;
  for (auto shape = shapes.begin(); shape != shapes.end(); shape += 4) {
    const std::vector<int64_t> size(shape, shape + 4);
    gradients.push_back(torch::stable::empty(size, wide, std::nullopt, grad.device(), std::nullopt, format));
  }
  const Tensor corners = torch::stable::contiguous(rois), chosen = torch::stable::contiguous(levels);
  const Tensor dense_grad = torch::stable::contiguous(grad), cells = torch::stable::contiguous(argmax);
  const Rois regions = rois_of(corners, chosen);
  const int64_t bins = grad.size(2) * grad.size(3);
  const Tensor memory = workspace(grad, roi_max_pool_backward_workspace(regions, bins, version));
  cuda::roi_max_pool_backward(pyramid_of(gradients, spatial_scales), type_of(grad), regions, bins,
                              dense_grad.const_data_ptr(), {cells.mutable_data_ptr(), large}, version,
                              memory.mutable_data_ptr(), current_stream(grad));
  for (Tensor& gradient : gradients) gradient = torch::stable::to(gradient, grad.scalar_type());
  return gradients;
}

}  // namespace operators
}  // namespace fasterfpn::cuda

STABLE_TORCH_LIBRARY_IMPL(fasterfpn, CUDA, library) {
  library.impl("nms", TORCH_BOX(&fasterfpn::cuda::operators::nms));
  library.impl("roi_max_pool", TORCH_BOX(&fasterfpn::cuda::operators::roi_max_pool));
  library.impl("roi_max_pool_backward", TORCH_BOX(&fasterfpn::cuda::operators::roi_max_pool_backward));
}
