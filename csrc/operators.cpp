// Schemas and registration. Fake implementations and autograd are registered in Python (fasterfpn/ops).
#include "operators.h"

#include <torch/csrc/stable/library.h>

#include <string>

namespace fasterfpn {
namespace {

template <typename Ideas, size_t kCount>
std::vector<std::string> names(const Ideas (&versions)[kCount]) {
  std::vector<std::string> names;
  for (const Ideas& ideas : versions) names.push_back(ideas.newest);
  return names;
}

// What each version of a kernel adds to the one before; none for a device or an operator without versions.
std::vector<std::string> versions(std::string kernel, std::string device) {
  const bool cpu = device == "cpu", cuda = device == "cuda";
  if (kernel == "nms" && cpu) return names(cpu::kNmsVersions);
  if (kernel == "nms" && cuda) return names(cuda::kNmsVersions);
  if (kernel == "roi_max_pool" && cpu) return names(cpu::kPoolingVersions);
  if (kernel == "roi_max_pool" && cuda) return names(cuda::kPoolingVersions);
  return {};
}

}  // namespace
}  // namespace fasterfpn

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
  library.impl("versions", TORCH_BOX(&fasterfpn::versions));
}
