// RoI max pooling on the CPU, forward; roi_max_pool.cpp is the table of contents.
//
// values (R, C, S, S) row-major; argmax (R, C, S, S) in channels-last memory, so that the channels of a bin lie side by
// side there as they do in the maps.
#pragma once

#include <numeric>

#include "roi_max_pool.h"

namespace fasterfpn::cpu {

// ------------------------------------------------------------------------------------------------------------- v1

// best[c] = max(best[c], cell[c]), and where it grew, where[c] = index. NaN compares false: it is never taken.
template <typename T, typename Index>
ALWAYS_INLINE void take_larger(const T* __restrict cell, int64_t channels, Index index, Wide<T>* __restrict best,
                               Index* __restrict where) {
  for (int64_t c = 0; c < channels; ++c) {
    const Wide<T> value = static_cast<Wide<T>>(cell[c]);
    const bool more = value > best[c];
    best[c] = more ? value : best[c];
    where[c] = more ? index : where[c];
  }
}

template <typename T>
ALWAYS_INLINE void take_larger(const T* __restrict cell, int64_t channels, Wide<T>* __restrict best) {
  for (int64_t c = 0; c < channels; ++c) {
    const Wide<T> value = static_cast<Wide<T>>(cell[c]);
    best[c] = value > best[c] ? value : best[c];
  }
}

// The maximum of each channel over the cells y, x of one image, and its index; the first of a tie. where may be null.
template <typename T, typename Index>
VECTORISE void pool_bin(const FeatureMap<T>& map, const T* image, Span y, Span x, Wide<T>* best, Index* where) {
  const bool empty = y.end <= y.begin || x.end <= x.begin;
  std::fill_n(best, map.channels, empty ? Wide<T>(0) : -std::numeric_limits<Wide<T>>::infinity());
  if (where) std::fill_n(where, map.channels, Index(-1));
  for (int64_t row = y.begin; row < y.end; ++row) {
    for (int64_t column = x.begin; column < x.end; ++column) {
      const T* cell = image + row * map.row_stride + column * map.column_stride;
      if (where) {
        take_larger(cell, map.channels, static_cast<Index>(row * map.width + column), best, where);
      } else {
        take_larger(cell, map.channels, best);
      }
    }
  }
}

// argmax may be null, here and below.
template <typename T, typename Index>
void pool_bin_by_bin(const std::vector<FeatureMap<T>>& maps, const Regions& regions, T* values, Index* argmax) {
  const int64_t channels = maps[0].channels, size = regions.output_size(), bins = size * size;
  torch::stable::parallel_for(0, regions.size(), 1, [&](int64_t begin, int64_t end) {
    std::vector<Wide<T>> best(channels);
    for (int64_t r = begin; r < end; ++r) {
      const Region region = regions[r];
      const FeatureMap<T>& map = maps[region.level];
      const T* image = map.data + region.image * map.image_stride;
      for (int64_t bin = 0; bin < bins; ++bin) {
        const Span y = region.bins[bin / size], x = region.bins[size + bin % size];
        Index* where = argmax ? argmax + (r * bins + bin) * channels : nullptr;
        pool_bin(map, image, y, x, best.data(), where);
        T* value = values + r * channels * bins + bin;
        for (int64_t c = 0; c < channels; ++c) value[c * bins] = static_cast<T>(best[c]);
      }
    }
  });
}

// ------------------------------------------------------------------------------------------------------- v2 and v3

// v2: kBlock channels of the bin y, x. Their number is known to the compiler, so that it keeps best and where in
// registers from the first cell to the last; with a number that it does not know they go through memory at every cell.
template <int kBlock, bool kArgmax, typename T, typename Index>
ALWAYS_INLINE void pool_block(const FeatureMap<T>& map, const T* image, Span y, Span x, Wide<T>* __restrict values,
                              Index* __restrict argmax) {
  Wide<T> best[kBlock];
  Lane<Index> where[kBlock];
  const bool empty = y.end <= y.begin || x.end <= x.begin;
  for (int c = 0; c < kBlock; ++c) {
    best[c] = empty ? Wide<T>(0) : -std::numeric_limits<Wide<T>>::infinity();
    where[c] = -1;
  }
  for (int64_t row = y.begin; row < y.end; ++row) {
    const T* cell = image + row * map.row_stride + x.begin * map.column_stride;
    for (int64_t column = x.begin; column < x.end; ++column, cell += map.column_stride) {
      const Lane<Index> index = static_cast<Lane<Index>>(row * map.width + column);
      for (int c = 0; c < kBlock; ++c) {
        const Wide<T> value = static_cast<Wide<T>>(cell[c]);
        if (kArgmax) {
          // where = more ? index : where, in bits: of that expression GCC makes a branch.
          const Lane<Index> more = -static_cast<Lane<Index>>(value > best[c]);
          where[c] = (index & more) | (where[c] & ~more);
        }
        best[c] = value > best[c] ? value : best[c];
      }
    }
  }
  for (int c = 0; c < kBlock; ++c) values[c] = best[c];
  if (!kArgmax) return;
  for (int c = 0; c < kBlock; ++c) argmax[c] = static_cast<Index>(where[c]);
}

// All bins of one RoI, kBlock channels of them, beginning with `channel`; `tile` holds S * S * kBlock numbers.
template <int kBlock, typename T, typename Index>
ALWAYS_INLINE void pool_channels(const FeatureMap<T>& map, const Region& region, int64_t size, int64_t channel,
                                 Wide<T>* __restrict tile, T* __restrict values, Index* argmax) {
  const T* image = map.data + region.image * map.image_stride + channel;
  const int64_t bins = size * size;
  for (int64_t bin = 0; bin < bins; ++bin) {
    const Span y = region.bins[bin / size], x = region.bins[size + bin % size];
    Wide<T>* best = tile + bin * kBlock;
    if (argmax) {
      pool_block<kBlock, true>(map, image, y, x, best, argmax + bin * map.channels + channel);
    } else {
      pool_block<kBlock, false>(map, image, y, x, best, argmax);
    }
  }
  // The tile lies channels-last, the values do not: turned round here, while it is in the nearest cache.
  turn(tile, kBlock, values + channel * bins, bins, bins, kBlock);
}

constexpr int kBlock = 128;  // eight registers of AVX-512, and eight more for the arg-max; on less it spills a little

// values and argmax of one RoI.
template <typename T, typename Index>
VECTORISE void pool_region(const FeatureMap<T>& map, const Region& region, int64_t size, Wide<T>* tile, T* values,
                           Index* argmax) {
  int64_t c = 0;
  for (; c + kBlock <= map.channels; c += kBlock) pool_channels<kBlock>(map, region, size, c, tile, values, argmax);
  for (; c + 16 <= map.channels; c += 16) pool_channels<16>(map, region, size, c, tile, values, argmax);
  for (; c < map.channels; ++c) pool_channels<1>(map, region, size, c, tile, values, argmax);
}

// v3: the RoIs by level, image and place, so that those pooled at the same time and one after the other read the same
// cells, and find them in the cache.
inline std::vector<int64_t> by_place(const Regions& regions) {
  const int64_t size = regions.output_size();
  constexpr int64_t kStrip = 16;  // rows whose RoIs are taken from left to right
  std::vector<std::array<int64_t, 4>> keys;
  for (int64_t r = 0; r < regions.size(); ++r) {
    const Region region = regions[r];
    const Span y = region.bins[size / 2], x = region.bins[size + size / 2];
    keys.push_back({region.level, region.image, y.begin / kStrip, x.begin});
  }
  std::vector<int64_t> order(regions.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
  return order;
}

template <typename T, typename Index>
void pool_by_blocks(const std::vector<FeatureMap<T>>& maps, const Regions& regions, bool sorted, T* values,
                    Index* argmax) {
  const int64_t size = regions.output_size(), elements = maps[0].channels * size * size;
  const auto pool = [&](int64_t r, Wide<T>* tile) {
    const Region region = regions[r];
    Index* where = argmax ? argmax + r * elements : nullptr;
    pool_region(maps[region.level], region, size, tile, values + r * elements, where);
  };
  if (!sorted) {
    torch::stable::parallel_for(0, regions.size(), 1, [&](int64_t begin, int64_t end) {
      std::vector<Wide<T>> tile(size * size * kBlock);
      for (int64_t r = begin; r < end; ++r) pool(r, tile.data());
    });
    return;
  }
  const std::vector<int64_t> order = by_place(regions);
  constexpr int64_t kShare = 4;  // RoIs of a task
  hand_out((regions.size() + kShare - 1) / kShare, [&] {
    return [&, tile = std::vector<Wide<T>>(size * size * kBlock)](int64_t task) mutable {
      const int64_t end = std::min(kShare * (task + 1), regions.size());
      for (int64_t i = kShare * task; i < end; ++i) pool(order[i], tile.data());
    };
  });
}

}  // namespace fasterfpn::cpu
