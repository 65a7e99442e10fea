// Kept boxes by size and place, so that a box is compared with its neighbours only.
//
// v3  IoU > t needs, on both axes, an intersection longer than t times either box. So the sides of the two boxes differ
//     by a factor of 1/t at most, and their corners by a fraction of a side. A pyramid of grids holds the kept boxes:
//     level k those whose longer side is in [2^k, 2^(k+1)), in cells of about that size, by their corner x1, y1. A box
//     looks at the two or three levels of its size, and there at a few cells. Boxes kept in one place suppress each
//     other where they are alike, so a cell never fills with them: the cost of a box does not grow with their number.
//
// The cull is exact; a candidate too many costs time, one too few would be a wrong result. With w' the computed width
// of a box, X' that of the intersection and r = reach w', IoU > t implies X' > r (see Threshold). Rounding is monotone,
// so X' <= fl(x2_i - x1_j) gives x1_j <= fl(x2_i - r_i), and in the same way x2_j >= fl(x1_i + r_i): bounds that hold
// for any coordinates, however large, with no margin of their own. This needs products that do not underflow, so a box
// of tiny area takes reach as 0, which asks only that boxes intersect. Cells are found by monotone steps, too, and
// counted modulo the size of the grid: far corners share cells, which again only adds candidates.
#pragma once

#include <cstring>

#include "nms_blocks.h"

namespace fasterfpn::cpu {

// A box that meets nothing: empty, inverted, or with an area that underflows or overflows. Its IoU is 0 or NaN.
template <typename T>
inline bool is_inert(const Box<T>& box, T box_area) {
  return !(box.x2 > box.x1 && box.y2 > box.y1 && box_area > 0 && box_area <= std::numeric_limits<T>::max());
}

template <typename T>
class Grid {
 public:
  // For `count` boxes that are to be asked about and perhaps added.
  Grid(const Threshold<T>& threshold, const Box<T>* boxes, int64_t count);

  ALWAYS_INLINE bool suppresses(const Box<T>& box, T box_area) const {
    if (is_inert(box, box_area)) return false;
    const T reach = box_area >= threshold_.smallest_area ? threshold_.reach : 0,
            box_share = threshold_.share_of(box_area);
    const T width = box.x2 - box.x1, height = box.y2 - box.y1, side = larger(width, height);
    const T need_x = reach * width, need_y = reach * height, need = larger(need_x, need_y);
    // Sides that are longer than these cannot be covered to a fraction of `reach`.
    const T limit_x = reach > 0 ? width * inverse_ : kInfinity, limit_y = reach > 0 ? height * inverse_ : kInfinity;
    for (const Level& level : levels_) {
      if (level.longest <= need) continue;
      if (reach * level.shortest > side) break;
      const T wide = smaller(level.longest, limit_x), high = smaller(level.longest, limit_y);
      const int64_t x = level.cell((box.x1 + need_x) - wide), y = level.cell((box.y1 + need_y) - high);
      const int64_t columns = smaller(level.cell(box.x2 - need_x) - x, level.last_column);
      const int64_t rows = smaller(level.cell(box.y2 - need_y) - y, level.last_row);
      if ((columns + 1) * (rows + 1) > static_cast<int64_t>(blocks_.size())) return suppresses_by_scan(box, box_share);
      for (int64_t row = y; row <= y + rows; ++row) {
        for (int64_t column = x; column <= x + columns; ++column) {
          for (int32_t b = heads_[level.slot(column, row)]; b >= 0; b = chains_[b].next) {
            if (any_overlaps(blocks_[b], box, box_share, threshold_)) return true;
          }
        }
      }
    }
    return false;
  }

  void add(const Box<T>& box, T box_area) {
    if (is_inert(box, box_area)) return;
    const Level& level = levels_[level_of_[exponent(box) - lowest_]];
    int32_t& head = heads_[level.slot(level.cell(box.x1), level.cell(box.y1))];
    if (head < 0 || chains_[head].count == Block<T>::kSize) {
      chains_.push_back({head, 0});
      head = static_cast<int32_t>(blocks_.size());
      blocks_.emplace_back();
    }
    blocks_[head].set(chains_[head].count++, box, threshold_.share_of(box_area));
  }

 private:
  static constexpr T kInfinity = std::numeric_limits<T>::infinity();

  struct Level {
    T shortest, longest;            // of the longer sides: 2^k and 2^(k+1)
    double scale;                   // cells per pixel, a power of two
    int64_t last_column, last_row;  // the numbers of columns and rows, powers of two, less one
    int64_t first;                  // slot of cell 0, 0
    int column_bits;

    // The cell of a coordinate; never smaller for a larger coordinate.
    int64_t cell(T x) const {
      const double cells = smaller(larger(x * scale, -0x1p60), 0x1p60);
      const int64_t whole = static_cast<int64_t>(cells);
      return whole - (cells < static_cast<double>(whole));
    }
    int64_t slot(int64_t column, int64_t row) const {
      return first + ((row & last_row) << column_bits) + (column & last_column);
    }
  };

  struct Link {
    int32_t next, count;  // the next block of a cell, or -1; the number of boxes in this one
  };

  // k of the level: 2^k <= longer side < 2^(k+1). No side of a box that is not inert is subnormal.
  static int exponent(const Box<T>& box) {
    const T side = larger(box.x2 - box.x1, box.y2 - box.y1);
    if constexpr (sizeof(T) == 4) {
      uint32_t bits;
      std::memcpy(&bits, &side, sizeof(bits));
      return static_cast<int>(bits >> 23) - 127;
    } else {
      uint64_t bits;
      std::memcpy(&bits, &side, sizeof(bits));
      return static_cast<int>(bits >> 52) - 1023;
    }
  }

  // For a box that would look at more cells than there are blocks.
  ALWAYS_INLINE bool suppresses_by_scan(const Box<T>& box, T box_share) const {
    for (const Block<T>& block : blocks_) {
      if (any_overlaps(block, box, box_share, threshold_)) return true;
    }
    return false;
  }

  void add_level(int k, int64_t count, double extent_x, double extent_y);

  Threshold<T> threshold_;
  T inverse_;
  std::vector<Level> levels_;   // by size, those that have boxes
  int lowest_ = 0;              // exponent of the first
  std::vector<int> level_of_;   // by exponent - lowest_
  std::vector<int32_t> heads_;  // of each cell, its first block, or -1
  std::vector<Link> chains_;
  std::vector<Block<T>> blocks_;
};

template <typename T>
Grid<T>::Grid(const Threshold<T>& threshold, const Box<T>* boxes, int64_t count) : threshold_(threshold) {
  inverse_ = (1 + 8 * std::numeric_limits<T>::epsilon()) / threshold.reach;
  struct Extent {
    int64_t count = 0;
    T x_low = kInfinity, x_high = -kInfinity, y_low = kInfinity, y_high = -kInfinity;
  };
  constexpr int kBias = std::numeric_limits<T>::max_exponent;
  std::vector<Extent> extents(2 * kBias);  // by exponent
  for (int64_t i = 0; i < count; ++i) {
    const Box<T>& box = boxes[i];
    if (is_inert(box, area(box))) continue;
    Extent& extent = extents[exponent(box) + kBias];
    ++extent.count;
    extent.x_low = smaller(extent.x_low, box.x1), extent.x_high = larger(extent.x_high, box.x1);
    extent.y_low = smaller(extent.y_low, box.y1), extent.y_high = larger(extent.y_high, box.y1);
  }
  for (int e = 0; e < 2 * kBias; ++e) {
    const Extent& extent = extents[e];
    if (extent.count > 0 && levels_.empty()) lowest_ = e - kBias;
    if (extent.count > 0) {
      add_level(e - kBias, extent.count, static_cast<double>(extent.x_high) - extent.x_low,
                static_cast<double>(extent.y_high) - extent.y_low);
    }
    if (!levels_.empty()) level_of_.push_back(static_cast<int>(levels_.size()) - 1);
  }
}

// Cells as small as half a box, but not so many that most would be empty: then up to eight boxes wide, and in the end a
// grid that is smaller than the extent.
template <typename T>
void Grid<T>::add_level(int k, int64_t count, double extent_x, double extent_y) {
  int size = k - 1;
  const double enough = static_cast<double>(count) / 16 + 1;
  const auto cells = [&](double extent) { return std::ldexp(extent, -size) + 2; };
  while (size < k + 3 && cells(extent_x) * cells(extent_y) > enough) ++size;
  int column_bits = 0, row_bits = 0;
  for (bool grown = true; grown && std::ldexp(1, column_bits + row_bits) < enough;) {
    const bool wider = std::ldexp(1, column_bits) < cells(extent_x), higher = std::ldexp(1, row_bits) < cells(extent_y);
    column_bits += wider, row_bits += higher, grown = wider || higher;
  }
  const int64_t first = static_cast<int64_t>(heads_.size());
  levels_.push_back({std::ldexp(T(1), k), std::ldexp(T(1), k + 1), std::ldexp(1, -size),
                     (int64_t(1) << column_bits) - 1, (int64_t(1) << row_bits) - 1, first, column_bits});
  heads_.resize(first + (int64_t(1) << (column_bits + row_bits)), -1);
}

}  // namespace fasterfpn::cpu
