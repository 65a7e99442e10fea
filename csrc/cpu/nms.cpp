// Greedy non-maximum suppression on the CPU.
//
// v1: boxes are visited best first, and each is compared with the boxes of its segment that are kept so far, until one
// suppresses it. Kept boxes lie in arrays of x1, y1, ..., so that the compiler compares several at once; segments run
// in parallel. Cost: boxes x kept boxes.
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "arithmetic.h"
#include "operators.h"
#include "vectorise.h"

namespace fasterfpn::cpu {
namespace {

// Boxes as arrays of their corners and areas.
template <typename T>
struct Boxes {
  std::vector<T> x1, y1, x2, y2, area;
};

// Whether one of the boxes begin, ..., end - 1 overlaps `box` by more than `threshold`. No exit from the loop, so that
// it can be vectorised.
template <typename T>
VECTORISE bool overlaps(const Boxes<T>& boxes, int64_t begin, int64_t end, const Box<T>& box, T threshold) {
  const T *x1 = boxes.x1.data(), *y1 = boxes.y1.data(), *x2 = boxes.x2.data(), *y2 = boxes.y2.data();
  const T *areas = boxes.area.data(), box_area = area(box);
  int found = 0;
  for (int64_t k = begin; k < end; ++k) {
    found |= iou(Box<T>{x1[k], y1[k], x2[k], y2[k]}, areas[k], box, box_area) > threshold;
  }
  return found != 0;
}

template <typename T>
bool suppressed(const Box<T>& box, const Boxes<T>& kept, T threshold) {
  constexpr int64_t kBlock = 128;  // compared at once; after each block, the way out
  const int64_t count = static_cast<int64_t>(kept.x1.size());
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    if (overlaps(kept, begin, std::min(begin + kBlock, count), box, threshold)) return true;
  }
  return false;
}

template <typename T>
void add(const Box<T>& box, Boxes<T>& kept) {
  kept.x1.push_back(box.x1);
  kept.y1.push_back(box.y1);
  kept.x2.push_back(box.x2);
  kept.y2.push_back(box.y2);
  kept.area.push_back(area(box));
}

// The indices by descending score, of equal scores the lower index first.
std::vector<int64_t> descending(const double* scores, int64_t count) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [=](int64_t i, int64_t j) { return scores[i] > scores[j]; });
  return order;
}

// Where each segment begins in `order`, which is sorted by segment; and, last, the number of boxes.
std::vector<int64_t> segment_bounds(const std::vector<int64_t>& order, const int64_t* segments) {
  const int64_t count = static_cast<int64_t>(order.size());
  std::vector<int64_t> bounds;
  for (int64_t i = 0; i < count; ++i) {
    if (i == 0 || (segments && segments[order[i]] != segments[order[i - 1]])) bounds.push_back(i);
  }
  bounds.push_back(count);
  return bounds;
}

template <typename T>
std::vector<int64_t> kept_indices(const T* corners, const double* scores, const int64_t* segments, int64_t count,
                                  double iou_threshold) {
  for (int64_t i = 0; i < 4 * count; ++i) check(std::isfinite(corners[i]), "boxes: coordinates must be finite");
  for (int64_t i = 0; i < count; ++i) check(!std::isnan(scores[i]), "scores: must not be NaN");

  const T threshold = round_down<T>(iou_threshold);
  const std::vector<int64_t> order = descending(scores, count);
  std::vector<int64_t> grouped = order;  // by segment, and within one still by score
  if (segments) {
    std::stable_sort(grouped.begin(), grouped.end(), [=](int64_t i, int64_t j) { return segments[i] < segments[j]; });
  }
  const std::vector<int64_t> bounds = segment_bounds(grouped, segments);
  std::vector<char> keep(count, 0);  // not bool: threads write neighbours
  torch::stable::parallel_for(0, bounds.size() - 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      Boxes<T> kept;
      for (int64_t i = bounds[s]; i < bounds[s + 1]; ++i) {
        const T* corner = corners + 4 * grouped[i];
        const Box<T> box{corner[0], corner[1], corner[2], corner[3]};
        if (suppressed(box, kept, threshold)) continue;
        add(box, kept);
        keep[grouped[i]] = 1;
      }
    }
  });
  std::vector<int64_t> indices;
  std::copy_if(order.begin(), order.end(), std::back_inserter(indices), [&](int64_t i) { return keep[i] != 0; });
  return indices;
}

}  // namespace

Tensor nms(const Tensor& boxes, const Tensor& scores, std::optional<Tensor> segments, double iou_threshold,
           int64_t version) {
  checked_version(version, 1);
  check(boxes.dim() == 2 && boxes.size(1) == 4, "boxes: expected shape (N, 4)");
  check(is_floating_point(boxes), "boxes: expected floating point");
  const int64_t count = boxes.size(0);
  check(scores.dim() == 1 && scores.size(0) == count, "scores: expected shape (", count, ",)");
  check(is_floating_point(scores), "scores: expected floating point");
  check(scores.is_cpu(), "scores: expected on the CPU, as boxes");
  if (segments) {
    check(segments->dim() == 1 && segments->size(0) == count, "segments: expected shape (", count, ",)");
    check(segments->scalar_type() == ScalarType::Long, "segments: expected int64");
    check(segments->is_cpu(), "segments: expected on the CPU, as boxes");
    segments = torch::stable::contiguous(*segments);
  }
  check(iou_threshold >= 0 && iou_threshold <= 1, "iou_threshold: expected a number in [0, 1], got ", iou_threshold);

  // Scores are only compared, and double holds every other type exactly.
  const Tensor keys = torch::stable::contiguous(torch::stable::to(scores, ScalarType::Double));
  const int64_t* groups = segments ? segments->const_data_ptr<int64_t>() : nullptr;
  const auto kept = [&](auto zero) {
    using T = decltype(zero);
    const ScalarType type = std::is_same_v<T, double> ? ScalarType::Double : ScalarType::Float;
    const Tensor corners = torch::stable::contiguous(torch::stable::to(boxes, type));
    return kept_indices(corners.const_data_ptr<T>(), keys.const_data_ptr<double>(), groups, count, iou_threshold);
  };
  const std::vector<int64_t> indices = boxes.scalar_type() == ScalarType::Double ? kept(0.0) : kept(0.0f);
  Tensor result = torch::stable::new_empty(boxes, {static_cast<int64_t>(indices.size())}, ScalarType::Long);
  std::copy(indices.begin(), indices.end(), result.mutable_data_ptr<int64_t>());
  return result;
}

}  // namespace fasterfpn::cpu
