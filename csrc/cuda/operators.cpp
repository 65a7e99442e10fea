// The CUDA kernels as torch operators: checks, memory, the order of the boxes, device and stream.
//
// Nothing here waits for the device, but for masked_select in nms, which learns the output's size. So values are not
// looked at: what the CPU refuses for its value is answered as the kernels' files say.
#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <array>
#include <limits>

#include "../arguments.h"
#include "../arithmetic.h"
#include "kernels.h"

#ifndef STABLE_TORCH_ERROR_CODE_CHECK  // in headers of torch before it could pass the message on
#define STABLE_TORCH_ERROR_CODE_CHECK TORCH_ERROR_CODE_CHECK
#endif

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

}  // namespace

namespace operators {

Tensor nms(const Tensor& boxes, const Tensor& scores, std::optional<Tensor> segments, double iou_threshold,
           int64_t version) {
  const NmsIdeas& ideas = ideas_of(kNmsVersions, version);
  check_nms(boxes, scores, segments, iou_threshold);
  if (segments) segments = torch::stable::contiguous(*segments);

  const DeviceGuard guard(boxes.get_device_index());
  const int64_t count = boxes.size(0);
  const bool wide = working_type(boxes) == ScalarType::Double;
  const Tensor corners = dense(boxes, working_type(boxes));
  const Tensor by_score = sorted_indices(scores, true);
  const Tensor order = segments ? select(by_score, sorted_indices(select(*segments, by_score), false)) : by_score;
  const NmsInput input{corners.const_data_ptr(),
                       order.const_data_ptr<int64_t>(),
                       segments ? segments->const_data_ptr<int64_t>() : nullptr,
                       count,
                       wide,
                       wide ? round_down<double>(iou_threshold) : round_down<float>(iou_threshold)};
  const Tensor memory = workspace(boxes, nms_workspace(input, ideas));
  const Tensor keep = torch::stable::new_empty(boxes, {count}, ScalarType::Bool);
  cuda::nms(input, ideas, memory.mutable_data_ptr(), keep.mutable_data_ptr<bool>(), current_stream(boxes));
  return call("aten::masked_select", "", by_score, select(keep, by_score));
}

std::tuple<Tensor, Tensor> roi_max_pool(std::vector<Tensor> features, const Tensor& rois, const Tensor& levels,
                                        std::vector<double> spatial_scales, int64_t output_size, bool with_argmax,
                                        int64_t version) {
  const PoolingIdeas& ideas = ideas_of(kPoolingVersions, version);
  check(features.size() <= kMaxLevels, "features: expected at most ", kMaxLevels, " levels on CUDA");
  bool large = false;
  for (const Shape& shape : check_pooling(features, rois, levels, spatial_scales, output_size)) {
    large |= shape.height * shape.width > std::numeric_limits<int32_t>::max();
  }
  const Tensor first = features[0];

  const DeviceGuard guard(first.get_device_index());
  if (ideas.channels_inside && first.size(1) > 1) {  // v1 reads any layout as well, or as badly
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
                     values.mutable_data_ptr(), {with_argmax ? argmax.mutable_data_ptr() : nullptr, large}, ideas,
                     current_stream(first));
  return {values, argmax};
}

std::vector<Tensor> roi_max_pool_backward(const Tensor& grad, const Tensor& rois, const Tensor& levels,
                                          const Tensor& argmax, std::vector<int64_t> feature_shapes,
                                          std::vector<double> spatial_scales, bool channels_last, int64_t version) {
  const PoolingIdeas& ideas = ideas_of(kPoolingVersions, version);
  check(feature_shapes.size() <= 4 * kMaxLevels, "feature_shapes: expected at most ", kMaxLevels, " levels on CUDA");
  const std::vector<Shape> shapes = check_pooling_backward(grad, rois, levels, argmax, feature_shapes, spatial_scales);
  const bool large = argmax.scalar_type() == ScalarType::Long;
  check(large || argmax.scalar_type() == ScalarType::Int, "argmax: expected int32 or int64");

  const DeviceGuard guard(grad.get_device_index());
  const MemoryFormat format = channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous;
  std::vector<Tensor> gradients;
  for (const Shape& s : shapes) {
    const std::vector<int64_t> size{s.images, s.channels, s.height, s.width};
    gradients.push_back(
        torch::stable::empty(size, working_type(grad), std::nullopt, grad.device(), std::nullopt, format));
  }
  const Tensor corners = torch::stable::contiguous(rois), chosen = torch::stable::contiguous(levels);
  const Tensor dense_grad = torch::stable::contiguous(grad), cells = torch::stable::contiguous(argmax);
  const Rois regions = rois_of(corners, chosen);
  const int64_t bins = grad.size(2) * grad.size(3);
  const Tensor memory = workspace(grad, roi_max_pool_backward_workspace(regions, bins, ideas));
  cuda::roi_max_pool_backward(pyramid_of(gradients, spatial_scales), type_of(grad), regions, bins,
                              dense_grad.const_data_ptr(), {cells.mutable_data_ptr(), large}, ideas,
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
