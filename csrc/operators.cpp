// Schemas and registration. Fake implementations and autograd are registered in Python (fasterfpn/ops).
#include "operators.h"

#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(fasterfpn, library) {
  library.def("nms(Tensor boxes, Tensor scores, Tensor? segments, float iou_threshold, int version) -> Tensor");
  library.def(
      "roi_max_pool(Tensor[] features, Tensor rois, Tensor levels, float[] spatial_scales, SymInt output_size, "
      "bool with_argmax, int version) -> (Tensor values, Tensor argmax)");
  // version: of the kernel, from 1; 0 asks for the newest.
  // feature_shapes: N, C, H, W of each level, one after the other.
  library.def(
      "roi_max_pool_backward(Tensor grad, Tensor rois, Tensor levels, Tensor argmax, SymInt[] feature_shapes, "
      "float[] spatial_scales, bool channels_last, int version) -> Tensor[]");
}

STABLE_TORCH_LIBRARY_IMPL(fasterfpn, CPU, library) {
  library.impl("nms", TORCH_BOX(&fasterfpn::cpu::nms));
  library.impl("roi_max_pool", TORCH_BOX(&fasterfpn::cpu::roi_max_pool));
  library.impl("roi_max_pool_backward", TORCH_BOX(&fasterfpn::cpu::roi_max_pool_backward));
}
