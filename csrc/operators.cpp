// Schemas and registration. Fake implementations and autograd are registered in Python (fasterfpn/ops).
#include "operators.h"

#include <torch/csrc/stable/library.h>

#include <string>

// What each version of a kernel adds to the one before; empty for a kernel or a device without versions.
static std::vector<std::string> versions(std::string kernel, std::string device) {
  using namespace fasterfpn;
  const auto names = [](const auto& table) {
    std::vector<std::string> names;
    for (const auto& ideas : table) names.push_back(ideas.newest);
    return names;
  };
  if (kernel == "nms" && device == "cpu") return names(cpu::kNmsVersions);
  if (kernel == "nms" && device == "cuda") return names(cuda::kNmsVersions);
  if (kernel == "roi_max_pool" && device == "cpu") return names(cpu::kPoolingVersions);
  if (kernel == "roi_max_pool" && device == "cuda") return names(cuda::kPoolingVersions);
  return {};
}

STABLE_TORCH_LIBRARY(fasterfpn, library) {
  // version, in all of these: of the kernel, from 1; 0 asks for the newest.
  library.def("nms(Tensor boxes, Tensor scores, Tensor? segments, float iou_threshold, int version) -> Tensor");
  library.def(
      "roi_max_pool(Tensor[] features, Tensor rois, Tensor levels, float[] spatial_scales, SymInt output_size, "
      "bool with_argmax, int version) -> (Tensor values, Tensor argmax)");
  // feature_shapes: N, C, H, W of each level, one after the other.
  library.def(
      "roi_max_pool_backward(Tensor grad, Tensor rois, Tensor levels, Tensor argmax, SymInt[] feature_shapes, "
      "float[] spatial_scales, bool channels_last, int version) -> Tensor[]");
  library.def("versions(str kernel, str device) -> str[]");
}

STABLE_TORCH_LIBRARY_IMPL(fasterfpn, CPU, library) {
  library.impl("nms", TORCH_BOX(&fasterfpn::cpu::nms));
  library.impl("roi_max_pool", TORCH_BOX(&fasterfpn::cpu::roi_max_pool));
  library.impl("roi_max_pool_backward", TORCH_BOX(&fasterfpn::cpu::roi_max_pool_backward));
}

STABLE_TORCH_LIBRARY_IMPL(fasterfpn, CompositeExplicitAutograd, library) {
  library.impl("versions", TORCH_BOX(&versions));
}
