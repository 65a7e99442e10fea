// RoI max pooling on the CPU, backward; roi_max_pool.cpp is the table of contents.
//
// grad (R, C, S, S) row-major; argmax (R, C, S, S) in channels-last memory. Each element of a gradient is the sum over
// the RoIs in their order, and over the bins of one in theirs, in every version and for any number of threads.
#pragma once

#include <numeric>

#include "roi_max_pool.h"

namespace fasterfpn::cpu {

// ------------------------------------------------------------------------------------------------------------- v1

// Adds grad to the cells that argmax names in the levels' gradients, which are 0; false if some are not on the map.
template <typename T, typename Index>
bool scatter_by_channels(const T* grad, const Index* argmax, const Regions& regions, const std::vector<Shape>& shapes,
                         const std::vector<Wide<T>*>& gradients, bool channels_last) {
  const int64_t bins = regions.output_size() * regions.output_size();
  constexpr int64_t kBlock = 16;  // channels of a thread: 64 bytes of float, so that threads do not share cache lines
  const int64_t channels = shapes[0].channels, blocks = (channels + kBlock - 1) / kBlock;
  std::atomic<bool> good{true};
  torch::stable::parallel_for(0, shapes[0].images * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = 0; r < regions.size(); ++r) {
      const Region region = regions[r];
      const int64_t cells = shapes[region.level].height * shapes[region.level].width;
      const int64_t cell_stride = channels_last ? channels : 1, channel_stride = channels_last ? 1 : cells;
      // This thread's channels of this image: its tasks image * blocks + block are neighbours.
      const int64_t first = std::clamp(begin - region.image * blocks, int64_t(0), blocks) * kBlock;
      const int64_t last = std::min(std::clamp(end - region.image * blocks, int64_t(0), blocks) * kBlock, channels);
      for (int64_t c = first; c < last; ++c) {
        Wide<T>* plane = gradients[region.level] + region.image * channels * cells + c * channel_stride;
        for (int64_t b = 0; b < bins; ++b) {
          const int64_t cell = argmax[(r * bins + b) * channels + c];
          if (cell >= 0 && cell < cells) {
            plane[cell * cell_stride] += static_cast<Wide<T>>(grad[(r * channels + c) * bins + b]);
          } else if (cell != -1) {
            good = false;
          }
        }
      }
    }
  });
  return good;
}

// ------------------------------------------------------------------------------------------------------------- v4

// Rows and columns of a map.
struct Window {
  Span y, x;
  int64_t area() const { return std::max<int64_t>(y.end - y.begin, 0) * std::max<int64_t>(x.end - x.begin, 0); }
};

ALWAYS_INLINE Span common(Span a, Span b) { return {std::max(a.begin, b.begin), std::min(a.end, b.end)}; }
ALWAYS_INLINE Window common(const Window& a, const Window& b) { return {common(a.y, b.y), common(a.x, b.x)}; }

constexpr int kLanes = 64;  // channels of a task

// The arg-max of `lanes` channels, -1 for those that are missing from kLanes. False if one is not on a map of `count`
// cells.
template <typename Index>
VECTORISE bool load_lanes(const Index* __restrict argmax, int64_t lanes, int64_t count, Index* __restrict cells) {
  if (lanes >= kLanes) {
    for (int c = 0; c < kLanes; ++c) cells[c] = argmax[c];
  } else {
    for (int c = 0; c < kLanes; ++c) cells[c] = c < lanes ? argmax[c] : Index(-1);
  }
  Index least = -1, most = -1;
  for (int c = 0; c < kLanes; ++c) least = std::min(least, cells[c]), most = std::max(most, cells[c]);
  return least == -1 && most < count;
}

// The cells of each bin of each RoI: all that its arg-max may name.
inline std::vector<Window> windows_of_bins(const Regions& regions) {
  const int64_t size = regions.output_size();
  std::vector<Window> windows;
  windows.reserve(regions.size() * size * size);
  for (int64_t r = 0; r < regions.size(); ++r) {
    const Span *y = regions[r].bins, *x = y + size;
    for (int64_t bin = 0; bin < size * size; ++bin) windows.push_back({y[bin / size], x[bin % size]});
  }
  return windows;
}

constexpr int64_t kTileRows = 24, kTileColumns = 64;  // its cells; 384 KiB of float sums: they fit a second-level cache
constexpr int64_t kFewCells = 128;  // up to here it is faster to visit every cell of a bin than one for each channel

// Adds the gradient of a bin to the sums (cells, kLanes) of a tile. Every cell of the window takes its turn, and adds
// the channels whose maximum it is, many at once; the others add 0. That beats going to each channel's own cell.
template <typename Number, typename Index>
VECTORISE void add_densely(const Window& window, const Window& tile, int64_t width, const Index* __restrict where,
                           const Number* __restrict grad, Number* __restrict sums) {
  Number from[kLanes];
  Lane<Index> index[kLanes];
  for (int c = 0; c < kLanes; ++c) from[c] = grad[c], index[c] = where[c];
  for (int64_t y = window.y.begin; y < window.y.end; ++y) {
    Number* sum = sums + ((y - tile.y.begin) * kTileColumns + window.x.begin - tile.x.begin) * kLanes;
    for (int64_t x = window.x.begin; x < window.x.end; ++x, sum += kLanes) {
      const Lane<Index> cell = static_cast<Lane<Index>>(y * width + x);
      for (int c = 0; c < kLanes; ++c) sum[c] += index[c] == cell ? from[c] : Number(0);
    }
  }
}

// The same for a bin of many cells: each channel goes to its own.
template <typename Number, typename Index>
void add_one_by_one(const Window& window, const Window& tile, int64_t width, const Index* where, const Number* grad,
                    Number* sums) {
  for (int c = 0; c < kLanes; ++c) {
    if (where[c] < 0) continue;
    const int64_t y = where[c] / width, x = where[c] % width;
    if (y < window.y.begin || y >= window.y.end || x < window.x.begin || x >= window.x.end) continue;
    sums[((y - tile.y.begin) * kTileColumns + x - tile.x.begin) * kLanes + c] += grad[c];
  }
}

// Writes the sums of a tile to its place in the gradient of one image (C, H, W).
template <typename T>
VECTORISE void write_tile(const Wide<T>* __restrict sums, const Window& tile, const Shape& shape, int64_t channel,
                          bool channels_last, T* __restrict gradient) {
  const int64_t lanes = std::min<int64_t>(kLanes, shape.channels - channel);
  for (int64_t y = tile.y.begin; y < tile.y.end; ++y, sums += kTileColumns * kLanes) {
    const int64_t cell = y * shape.width + tile.x.begin, cells = tile.x.end - tile.x.begin;
    if (channels_last) {
      for (int64_t x = 0; x < cells; ++x) {
        T* out = gradient + (cell + x) * shape.channels + channel;
        for (int64_t c = 0; c < lanes; ++c) out[c] = static_cast<T>(sums[x * kLanes + c]);
      }
    } else {
      const int64_t plane = shape.height * shape.width;
      turn(sums, kLanes, gradient + channel * plane + cell, plane, cells, lanes);
    }
  }
}

template <typename T>
VECTORISE void turn_grad(const T* grad, int64_t stride, int64_t lanes, int64_t bins, Wide<T>* turned) {
  turn(grad, stride, turned, kLanes, lanes, bins);
}

// Some cells of one image on one level, and the RoIs that reach into them, in their order.
struct Tile {
  int64_t level, image;
  Window window;
  std::vector<int64_t> members;
};

// The least window that holds all of some; empty if they are.
inline Window union_of(const Window* windows, int64_t count) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  Window all{{kMost, 0}, {kMost, 0}};
  for (const Window* w = windows; w < windows + count; ++w) {
    if (w->area() == 0) continue;
    all.y = {std::min(all.y.begin, w->y.begin), std::max(all.y.end, w->y.end)};
    all.x = {std::min(all.x.begin, w->x.begin), std::max(all.x.end, w->x.end)};
  }
  return all;
}

// All tiles of all levels; windows: one for each bin of each RoI.
inline std::vector<Tile> cut_into_tiles(const std::vector<Shape>& shapes, const Regions& regions,
                                        const std::vector<Window>& windows, int64_t bins) {
  std::vector<Tile> tiles;
  std::vector<int64_t> first;  // tile of each level and image
  for (size_t level = 0; level < shapes.size(); ++level) {
    const Shape& shape = shapes[level];
    for (int64_t image = 0; image < shape.images; ++image) {
      first.push_back(static_cast<int64_t>(tiles.size()));
      for (int64_t y = 0; y < shape.height; y += kTileRows) {
        for (int64_t x = 0; x < shape.width; x += kTileColumns) {
          const Window all{{0, shape.height}, {0, shape.width}}, tile{{y, y + kTileRows}, {x, x + kTileColumns}};
          tiles.push_back({static_cast<int64_t>(level), image, common(all, tile), {}});
        }
      }
    }
  }
  for (int64_t r = 0; r < regions.size(); ++r) {
    const Region region = regions[r];
    const Shape& shape = shapes[region.level];
    const Window reach = union_of(windows.data() + r * bins, bins);
    const int64_t across = (shape.width + kTileColumns - 1) / kTileColumns;
    const int64_t start = first[region.level * shape.images + region.image];
    for (int64_t y = reach.y.begin / kTileRows; y * kTileRows < reach.y.end; ++y) {
      for (int64_t x = reach.x.begin / kTileColumns; x * kTileColumns < reach.x.end; ++x) {
        tiles[start + y * across + x].members.push_back(r);
      }
    }
  }
  return tiles;
}

// Adds what RoI r sends to kLanes channels, or `lanes` if less are left, of a tile. grad, argmax: at the first of them
// in the RoI; `turned` holds bins * kLanes numbers. False if an arg-max is not on a map of so many cells.
template <typename T, typename Index>
bool add_region(const T* grad, const Index* argmax, int64_t channels, int64_t lanes, const Window* windows,
                int64_t bins, const Window& tile, const Shape& shape, Wide<T>* turned, Wide<T>* sums) {
  int64_t begin = bins, end = 0;  // of the bins that reach into the tile
  for (int64_t b = 0; b < bins; ++b) {
    if (common(windows[b], tile).area() == 0) continue;
    begin = std::min(begin, b), end = b + 1;
  }
  turn_grad(grad + begin, bins, lanes, end - begin, turned);
  bool good = true;
  for (int64_t b = begin; b < end; ++b, turned += kLanes) {
    const Window part = common(windows[b], tile);
    if (part.area() == 0) continue;
    Index where[kLanes];
    good &= load_lanes(argmax + b * channels, lanes, shape.height * shape.width, where);
    if (part.area() <= kFewCells) {
      add_densely(part, tile, shape.width, where, turned, sums);
    } else {
      add_one_by_one(part, tile, shape.width, where, turned, sums);
    }
  }
  return good;
}

// Every gradient is written in full: what lies there before does not matter. False if the arg-max of a bin that is not
// empty names a cell off the map; one that is on the map but not in its bin is passed over.
template <typename T, typename Index>
bool scatter_by_tiles(const T* grad, const Index* argmax, const Regions& regions, const std::vector<Shape>& shapes,
                      const std::vector<T*>& gradients, bool channels_last) {
  const int64_t channels = shapes[0].channels, blocks = (channels + kLanes - 1) / kLanes;
  const int64_t bins = regions.output_size() * regions.output_size();
  const std::vector<Window> windows = windows_of_bins(regions);
  const std::vector<Tile> tiles = cut_into_tiles(shapes, regions, windows, bins);
  std::atomic<bool> good{true};
  hand_out(static_cast<int64_t>(tiles.size()) * blocks, [&] {
    std::vector<Wide<T>> turned(bins * kLanes), sums(kTileRows * kTileColumns * kLanes);
    return [&, turned, sums](int64_t task) mutable {
      const Tile& tile = tiles[task / blocks];
      const Shape& shape = shapes[tile.level];
      const int64_t channel = task % blocks * kLanes, lanes = std::min<int64_t>(kLanes, channels - channel);
      std::fill(sums.begin(), sums.end(), Wide<T>(0));
      for (const int64_t r : tile.members) {
        const bool on_map =
            add_region(grad + (r * channels + channel) * bins, argmax + r * bins * channels + channel, channels, lanes,
                       windows.data() + r * bins, bins, tile.window, shape, turned.data(), sums.data());
        if (!on_map) good = false;
      }
      T* gradient = gradients[tile.level] + tile.image * channels * shape.height * shape.width;
      write_tile(sums.data(), tile.window, shape, channel, channels_last, gradient);
    };
  });
  return good;
}

}  // namespace fasterfpn::cpu
