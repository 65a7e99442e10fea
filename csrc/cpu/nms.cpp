// Greedy non-maximum suppression on the CPU: boxes are visited best first, and each is kept unless one of its segment
// that is kept already suppresses it. The versions differ in how they find out, never in the result.
//
// v1  A scan over the kept boxes, which lie in arrays of x1, y1, ..., so that the compiler compares several at once;
//     segments in parallel. Cost: boxes x kept boxes.
// v2  The scan multiplies; only near the threshold it divides (nms_blocks.h).
// v3  A pyramid of grids holds the kept boxes: a scan over the neighbours (nms_grid.h).
// v4  Radix sort (nms_order.h), for once v3 is in place most of the time goes into sorting.
// v5  Large segments first, each thread taking the next when it is free; small ones without a grid.
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "arguments.h"
#include "arithmetic.h"
#include "nms_blocks.h"
#include "nms_grid.h"
#include "nms_order.h"
#include "vectorise.h"

namespace fasterfpn::cpu {
namespace {

// v1's kept boxes, as arrays of their corners and areas.
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

template <typename T>
void keep_by_scan(const Box<T>* boxes, int64_t count, const Threshold<T>& threshold, char* keep) {
  Boxes<T> kept;
  for (int64_t i = 0; i < count; ++i) {
    keep[i] = !suppressed(boxes[i], kept, threshold.value);
    if (keep[i]) add(boxes[i], kept);
  }
}

// Kept is BlockList or Grid. One function for all boxes, for all that it calls has to be inlined into each clone.
template <typename T, typename Kept>
VECTORISE void keep_by_blocks(const Box<T>* boxes, int64_t count, Kept& kept, char* keep) {
  for (int64_t i = 0; i < count; ++i) {
    const T box_area = area(boxes[i]);
    keep[i] = !kept.suppresses(boxes[i], box_area);
    if (keep[i]) kept.add(boxes[i], box_area);
  }
}

// One segment, best box first.
template <typename T>
void keep_segment(const Box<T>* boxes, int64_t count, const Threshold<T>& threshold, const NmsIdeas& ideas,
                  char* keep) {
  constexpr int64_t kSmall = 400;  // boxes; from there on building a grid pays
  if (!ideas.products) {
    keep_by_scan(boxes, count, threshold, keep);
  } else if (!ideas.grid || (ideas.balance && count < kSmall)) {
    BlockList<T> kept(threshold);
    keep_by_blocks<T, BlockList<T>>(boxes, count, kept, keep);
  } else {
    Grid<T> kept(threshold, boxes, count);
    keep_by_blocks<T, Grid<T>>(boxes, count, kept, keep);
  }
}

// Where each segment begins in `order`, in which segments lie together; and, last, the number of boxes.
std::vector<int64_t> segment_bounds(const Indices& order, const int64_t* segments) {
  const int64_t count = static_cast<int64_t>(order.size());
  std::vector<int64_t> bounds;
  for (int64_t i = 0; i < count; ++i) {
    if (i == 0 || (segments && segments[order[i]] != segments[order[i - 1]])) bounds.push_back(i);
  }
  bounds.push_back(count);
  return bounds;
}

// Calls body(begin, end) for each segment, in parallel.
template <typename Body>
void for_each_segment(const std::vector<int64_t>& bounds, bool balance, const Body& body) {
  const int64_t count = static_cast<int64_t>(bounds.size()) - 1;
  if (!balance) {
    torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) body(bounds[s], bounds[s + 1]);
    });
    return;
  }
  constexpr int64_t kBoxes = 2000;  // for a thread: fewer are done before it has begun
  const int64_t threads = std::min<int64_t>({count, 1 + bounds.back() / kBoxes, torch::stable::get_num_threads()});
  std::vector<int64_t> largest_first(count);
  std::iota(largest_first.begin(), largest_first.end(), 0);
  if (threads > 1) {
    const auto size = [&](int64_t s) { return bounds[s + 1] - bounds[s]; };
    std::sort(largest_first.begin(), largest_first.end(), [&](int64_t a, int64_t b) { return size(a) > size(b); });
  }
  std::atomic<int64_t> next = 0;
  torch::stable::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t i = next++; i < count; i = next++) body(bounds[largest_first[i]], bounds[largest_first[i] + 1]);
  });
}

template <typename T>
VECTORISE bool all_finite(const T* values, int64_t count) {
  int bad = 0;
  for (int64_t i = 0; i < count; ++i) bad |= !(std::fabs(values[i]) <= std::numeric_limits<T>::max());
  return bad == 0;
}

template <typename T>
VECTORISE bool any_nan(const T* values, int64_t count) {
  int found = 0;
  for (int64_t i = 0; i < count; ++i) found |= values[i] != values[i];
  return found != 0;
}

// `order` by score; returns it without the boxes that are suppressed.
template <typename T>
Indices without_suppressed(const Tensor& boxes, Indices order, const int64_t* segments, double iou_threshold,
                           const NmsIdeas& ideas) {
  const int64_t count = boxes.size(0);
  const T* corners = boxes.const_data_ptr<T>();
  check(all_finite(corners, 4 * count), "boxes: coordinates must be finite");
  Indices grouped;
  if (segments) group(grouped = order, segments, ideas.radix);
  const Indices& visits = segments ? grouped : order;

  const std::vector<int64_t> bounds = segment_bounds(visits, segments);
  std::vector<char> keep(count);  // by place in `visits`; not bool: threads write neighbours
  std::vector<Box<T>> sorted(count);
  for_each_segment(bounds, ideas.balance, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* corner = corners + 4 * static_cast<int64_t>(visits[i]);
      sorted[i] = {corner[0], corner[1], corner[2], corner[3]};
    }
    keep_segment(&sorted[begin], end - begin, Threshold<T>(iou_threshold), ideas, &keep[begin]);
  });
  if (segments) {  // from places in `grouped` to places in `order`
    std::vector<char> kept_box(count);
    for (int64_t i = 0; i < count; ++i) kept_box[grouped[i]] = keep[i];
    for (int64_t i = 0; i < count; ++i) keep[i] = kept_box[order[i]];
  }
  int64_t kept = 0;
  for (int64_t i = 0; i < count; ++i) {
    order[kept] = order[i];
    kept += keep[i];
  }
  order.resize(kept);
  return order;
}

template <typename Score>
Indices checked_order(const Tensor& scores, bool by_radix) {
  const Score* values = scores.const_data_ptr<Score>();
  check(!any_nan(values, scores.size(0)), "scores: must not be NaN");
  return by_score(values, scores.size(0), by_radix);
}

}  // namespace

Tensor nms(const Tensor& boxes, const Tensor& scores, std::optional<Tensor> segments, double iou_threshold,
           int64_t version) {
  const NmsIdeas& ideas = ideas_of(kNmsVersions, version);
  check_nms(boxes, scores, segments, iou_threshold);
  check(boxes.size(0) < int64_t(1) << 32, "boxes: expected fewer than 2^32, got ", boxes.size(0));
  if (segments) segments = torch::stable::contiguous(*segments);
  const auto dense = [](const Tensor& tensor) {
    const ScalarType type = working_type(tensor);
    return torch::stable::contiguous(tensor.scalar_type() == type ? tensor : torch::stable::to(tensor, type));
  };
  const Tensor corners = dense(boxes), keys = dense(scores);
  const int64_t* groups = segments ? segments->const_data_ptr<int64_t>() : nullptr;
  const bool doubles = working_type(scores) == ScalarType::Double;
  Indices indices = doubles ? checked_order<double>(keys, ideas.radix) : checked_order<float>(keys, ideas.radix);
  const auto suppress =
      working_type(boxes) == ScalarType::Double ? without_suppressed<double> : without_suppressed<float>;
  indices = suppress(corners, std::move(indices), groups, iou_threshold, ideas);
  Tensor result = torch::stable::new_empty(boxes, {static_cast<int64_t>(indices.size())}, ScalarType::Long);
  std::copy(indices.begin(), indices.end(), result.mutable_data_ptr<int64_t>());
  return result;
}

}  // namespace fasterfpn::cpu
