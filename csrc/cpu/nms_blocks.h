// Kept boxes sixteen at a time: what every version of NMS from v2 on compares with.
//
// v2  Multiplication filters, division decides. A vector division costs about as much as all the rest of an IoU, and
//     nearly every pair is far below the threshold: inter < threshold x union says so without dividing. Only a block in
//     which some pair passes (with a margin for rounding) computes what the definition asks for.
#pragma once

#include <limits>
#include <vector>

#include "arithmetic.h"
#include "vectorise.h"

namespace fasterfpn::cpu {

// The threshold, and numbers so much below it that rounding cannot matter: where the computed IoU of two boxes exceeds
// `value`, the like inequalities between products hold for `reach` and `share`, whatever was rounded on the way.
//
// Each operation is off by a factor of 1 +- u, u = epsilon / 2. inter / union > t is inter > t / (1 + t) x (sum of the
// areas); the computed numbers fulfil it to 4u. The computed union is at least max(area) (1 - 3u), so that the sides of
// the intersection exceed t (1 - 6u) times either box's own. 1 - 16u leaves room to compute the right-hand sides.
template <typename T>
struct Threshold {
  T value;
  T reach;          // a little below the threshold t; 0 where t is so small that products with it might underflow
  T share;          // a little below t / (1 + t), or 0
  T smallest_area;  // of boxes for which this holds: no product of theirs that matters underflows

  explicit Threshold(double threshold) : value(round_down<T>(threshold)) {
    const bool usual = value > T(1e-15);
    reach = usual ? value * (1 - 8 * std::numeric_limits<T>::epsilon()) : 0;
    share = reach / (1 + value);
    smallest_area = usual ? 8 * std::numeric_limits<T>::min() / reach : std::numeric_limits<T>::infinity();
  }

  T share_of(T box_area) const { return box_area >= smallest_area ? share * box_area : 0; }
};

template <typename T>
struct Block {
  static constexpr int kSize = 16;                                                      // floats in an AVX-512 register
  T x1[kSize] = {}, y1[kSize] = {}, x2[kSize] = {}, y2[kSize] = {}, share[kSize] = {};  // the rest: empty boxes

  void set(int k, const Box<T>& box, T box_share) {
    x1[k] = box.x1, y1[k] = box.y1, x2[k] = box.x2, y2[k] = box.y2, share[k] = box_share;
  }
};

// Whether a box of the block overlaps `box` by more than the threshold.
template <typename T>
ALWAYS_INLINE bool any_overlaps(const Block<T>& block, const Box<T>& box, T box_share, const Threshold<T>& threshold) {
  int found = 0;
  for (int k = 0; k < Block<T>::kSize; ++k) {
    const T width = smaller(block.x2[k], box.x2) - larger(block.x1[k], box.x1);
    const T height = smaller(block.y2[k], box.y2) - larger(block.y1[k], box.y1);
    found |= larger(T(0), width) * height > block.share[k] + box_share;
  }
  if (found == 0) return false;
  for (int k = 0; k < Block<T>::kSize; ++k) {
    const Box<T> kept{block.x1[k], block.y1[k], block.x2[k], block.y2[k]};
    found |= (iou(kept, area(kept), box, area(box)) > threshold.value) << 1;
  }
  return found > 1;
}

// All kept boxes, in blocks.
template <typename T>
class BlockList {
 public:
  explicit BlockList(const Threshold<T>& threshold) : threshold_(threshold) {}

  ALWAYS_INLINE bool suppresses(const Box<T>& box, T box_area) const {
    const T box_share = threshold_.share_of(box_area);
    for (const Block<T>& block : blocks_) {
      if (any_overlaps(block, box, box_share, threshold_)) return true;
    }
    return false;
  }

  void add(const Box<T>& box, T box_area) {
    const int place = static_cast<int>(count_++ % Block<T>::kSize);
    if (place == 0) blocks_.emplace_back();
    blocks_.back().set(place, box, threshold_.share_of(box_area));
  }

 private:
  Threshold<T> threshold_;
  std::vector<Block<T>> blocks_;
  int64_t count_ = 0;
};

}  // namespace fasterfpn::cpu
