// RoI max pooling over the levels of a pyramid on the CPU, forward and backward: the operators.
//
// R RoIs, C channels, S x S bins. In channels-last memory, which other input is copied to, the channels of a cell lie
// side by side, so that the compiler compares several at once. Versions, each with all that came before:
//
// v1  Forward: RoIs in parallel, for each bin a loop over its cells with the channels innermost. Backward: each thread
//     has its channels, and goes through the RoIs in order. No two threads share an element, here or in any version.
// v2  Forward: a fixed number of channels at a time, so that their maxima stay in registers through a bin's cells; and
//     the bins of a RoI are turned from channels-last to row-major order together, in the cache.
// v3  Forward: RoIs by level and place, so that cells that several RoIs share are still in the cache.
// v4  Backward: the gradient in tiles that fit a cache. A tile's sums are added up there, and written once. Which bins
//     reach into a tile follows from the RoIs, not from the arg-max, which is read but once.
// v5  New memory in pages of 2 MiB: the system prepares fewer of them.
//
// roi_max_pool_forward.h and roi_max_pool_backward.h hold the kernels, roi_max_pool.h what they share.
#include "roi_max_pool.h"

#include <torch/headeronly/core/Dispatch_v2.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "roi_max_pool_backward.h"
#include "roi_max_pool_forward.h"

#define DISPATCH_FEATURES(TYPE, NAME, BODY) \
  THO_DISPATCH_V2(TYPE, NAME, AT_WRAP(BODY), AT_FLOATING_TYPES, ScalarType::BFloat16, ScalarType::Half)

namespace fasterfpn::cpu {
namespace {

using torch::headeronly::MemoryFormat;

// An empty tensor; with huge_pages, one of several MiB in pages of 2 MiB where Linux has them for those who ask
// ("madvise"). The first touch of a page of new memory stops the thread until the system has cleared it: 100 MB are
// 25,000 stops in pages of 4 KiB, 50 in these.
Tensor empty(const std::vector<int64_t>& size, ScalarType type, MemoryFormat format, const Tensor& like,
             bool huge_pages) {
  Tensor tensor = torch::stable::empty(size, type, std::nullopt, like.device(), std::nullopt, format);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kPage = uintptr_t(2) << 20;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(tensor.mutable_data_ptr());
  const uintptr_t end = begin + tensor.numel() * tensor.element_size();
  const uintptr_t first = (begin + kPage - 1) / kPage * kPage, last = end / kPage * kPage;
  if (huge_pages && first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
  return tensor;
}

// The smallest type that counts the cells of every level, and -1.
ScalarType index_type(const std::vector<Shape>& shapes) {
  int64_t most = 0;
  for (const Shape& s : shapes) most = std::max(most, s.height * s.width);
  if (most <= std::numeric_limits<int16_t>::max()) return ScalarType::Short;
  return most <= std::numeric_limits<int32_t>::max() ? ScalarType::Int : ScalarType::Long;
}

// Calls f with the arg-max as a pointer of its type; of an empty one it is null.
template <typename Function>
void with_pointer(const Tensor& argmax, const Function& f) {
  void* data = argmax.numel() ? argmax.mutable_data_ptr() : nullptr;
  switch (argmax.scalar_type()) {
    case ScalarType::Short:
      return f(static_cast<int16_t*>(data));
    case ScalarType::Int:
      return f(static_cast<int32_t*>(data));
    default:
      return f(static_cast<int64_t*>(data));
  }
}

}  // namespace

std::tuple<Tensor, Tensor> roi_max_pool(std::vector<Tensor> features, const Tensor& rois, const Tensor& levels,
                                        std::vector<double> spatial_scales, int64_t output_size, bool with_argmax,
                                        int64_t version) {
  const PoolingIdeas& ideas = ideas_of(kPoolingVersions, version);
  const std::vector<Shape> shapes = check_pooling(features, rois, levels, spatial_scales, output_size);
  const Regions regions(rois, levels, shapes, spatial_scales, output_size);
  for (Tensor& feature : features) {
    if (shapes[0].channels > 1 && feature.stride(1) != 1) {
      feature = torch::stable::contiguous(feature, MemoryFormat::ChannelsLast);
    }
  }

  const int64_t channels = shapes[0].channels;
  const std::vector<int64_t> size{regions.size(), channels, output_size, output_size};
  Tensor values = empty(size, features[0].scalar_type(), MemoryFormat::Contiguous, features[0], ideas.huge_pages);
  const ScalarType index = index_type(shapes);
  Tensor argmax = with_argmax ? empty(size, index, MemoryFormat::ChannelsLast, features[0], ideas.huge_pages)
                              : torch::stable::new_empty(features[0], {0}, index);
  DISPATCH_FEATURES(features[0].scalar_type(), "roi_max_pool", [&] {
    const std::vector<FeatureMap<scalar_t>> maps(features.begin(), features.end());
    scalar_t* out = static_cast<scalar_t*>(values.mutable_data_ptr());
    with_pointer(argmax, [&](auto* where) {
      if (ideas.blocks) {
        pool_by_blocks(maps, regions, ideas.placed, out, where);
      } else {
        pool_bin_by_bin(maps, regions, out, where);
      }
    });
  });
  return {values, argmax};
}

std::vector<Tensor> roi_max_pool_backward(const Tensor& grad, const Tensor& rois, const Tensor& levels,
                                          const Tensor& argmax, std::vector<int64_t> feature_shapes,
                                          std::vector<double> spatial_scales, bool channels_last, int64_t version) {
  const PoolingIdeas& ideas = ideas_of(kPoolingVersions, version);
  const std::vector<Shape> shapes = check_pooling_backward(grad, rois, levels, argmax, feature_shapes, spatial_scales);
  const ScalarType index = argmax.scalar_type();
  const bool integer = index == ScalarType::Short || index == ScalarType::Int || index == ScalarType::Long;
  check(integer, "argmax: expected int16, int32 or int64");
  const Regions regions(rois, levels, shapes, spatial_scales, grad.size(2));

  const bool narrow = grad.scalar_type() == ScalarType::BFloat16 || grad.scalar_type() == ScalarType::Half;
  // Without tiles the sums are added up in the result itself, and need its type to be wide.
  const ScalarType type = narrow && !ideas.tiles ? ScalarType::Float : grad.scalar_type();
  const MemoryFormat format = channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous;
  std::vector<Tensor> gradients;
  for (const Shape& s : shapes) {
    gradients.push_back(empty({s.images, s.channels, s.height, s.width}, type, format, grad, ideas.huge_pages));
    if (!ideas.tiles) torch::stable::zero_(gradients.back());
  }
  const Tensor dense_grad = torch::stable::contiguous(grad);
  const Tensor dense_argmax = torch::stable::contiguous(argmax, MemoryFormat::ChannelsLast);
  bool good = true;
  DISPATCH_FEATURES(grad.scalar_type(), "roi_max_pool_backward", [&] {
    const scalar_t* from = static_cast<const scalar_t*>(dense_grad.const_data_ptr());
    const auto scatter = [&](auto kernel, auto* where, auto zero) {
      std::vector<decltype(zero)*> data;
      for (const Tensor& g : gradients) data.push_back(static_cast<decltype(zero)*>(g.mutable_data_ptr()));
      good = kernel(from, where, regions, shapes, data, channels_last);
    };
    with_pointer(dense_argmax, [&](auto* where) {
      using Index = std::remove_pointer_t<decltype(where)>;
      if (ideas.tiles) {
        scatter(scatter_by_tiles<scalar_t, Index>, where, scalar_t(0));
      } else {
        scatter(scatter_by_channels<scalar_t, Index>, where, Wide<scalar_t>(0));
      }
    });
  });
  check(good, "argmax: holds an index outside the RoI's level");
  for (Tensor& gradient : gradients) gradient = torch::stable::to(gradient, grad.scalar_type());
  return gradients;
}

}  // namespace fasterfpn::cpu
