// RoI max pooling on a GPU, backward, in versions, one idea each; all levels in one launch.
//
//   v1  A thread for each plane (level, image, channel) adds the RoIs' gradients in order.
//   v2  A warp for each tile of 8 x 8 cells and 32 channels adds up in shared memory, from the RoIs that meet the tile.
//   v3  Four warps share a tile's RoIs; their four sums are added in order.
//
// Every element of a gradient has one writer, and every sum one order, so that the result is the same bit for bit in
// every run; there are no atomics. A RoI that the forward pass gave zeros for gets no gradient.
#include "roi_max_pool.h"

namespace fasterfpn::cuda {
namespace {

constexpr int kBlock = 256;  // threads of a block, at most
constexpr int kTile = 8;     // cells along a side of a tile

// v1
template <typename E>
__global__ void add_in_planes(Pyramid gradients, Rois rois, int64_t bins, const E* grad, ArgMax argmax) {
  const int64_t n = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, channels = gradients.channels;
  if (n >= gradients.depth * gradients.images * channels) return;
  const int64_t c = n % channels, image = n / channels % gradients.images, l = n / channels / gradients.images;
  const Level& level = gradients.levels[l];
  Wide<E>* plane = static_cast<Wide<E>*>(level.data) + image * level.image_stride + c * level.channel_stride;
  const int64_t cells = level.height * level.width;
  const auto element = [&](int64_t cell) -> Wide<E>& {
    return plane[cell / level.width * level.row_stride + cell % level.width * level.column_stride];
  };
  for (int64_t cell = 0; cell < cells; ++cell) element(cell) = 0;
  for (int64_t r = 0; r < rois.count; ++r) {
    const Place at = place(rois, r, gradients.depth, gradients.images);
    if (!at.good || at.level != l || at.image != image) continue;
    for (int64_t k = (r * channels + c) * bins; k < (r * channels + c + 1) * bins; ++k) {
      const int64_t cell = read(argmax, k);
      if (cell >= 0 && cell < cells) element(cell) += widen(grad[k]);
    }
  }
}

// Rows and columns from the first to one past the last.
struct Extent {
  Span rows, columns;
};

__device__ bool meet(const Extent& a, const Extent& b) {
  return a.rows.begin < b.rows.end && b.rows.begin < a.rows.end && a.columns.begin < b.columns.end &&
         b.columns.begin < a.columns.end;
}

__device__ Extent hull(const Extent& a, const Extent& b) {
  return {{smaller(a.rows.begin, b.rows.begin), larger(a.rows.end, b.rows.end)},
          {smaller(a.columns.begin, b.columns.begin), larger(a.columns.end, b.columns.end)}};
}

__device__ Extent nothing() {
  constexpr int64_t far = int64_t(1) << 62;
  return {{far, -far}, {far, -far}};
}

// Row and column of a cell. Division of 64-bit numbers takes several times as long as of 32-bit ones.
__device__ Extent cell_extent(int64_t cell, int64_t width) {
  const bool small = ((cell | width) >> 32) == 0;
  const int64_t row = small ? static_cast<uint32_t>(cell) / static_cast<uint32_t>(width) : cell / width;
  const int64_t column = cell - row * width;
  return {{row, row + 1}, {column, column + 1}};
}

// What a RoI's arg-max reaches, in any channel: all of it, and bin by bin.
struct Reach {
  Place at;
  Extent extent;
};

// v2, v3: a block for each RoI, a thread for each of its bins, and in turn for further ones.
__global__ void find_reaches(Pyramid gradients, Rois rois, int64_t bins, ArgMax argmax, Reach* reaches,
                             Extent* bin_extents) {
  __shared__ Extent extents[kBlock];
  const int64_t r = blockIdx.x, channels = gradients.channels;
  const Place at = place(rois, r, gradients.depth, gradients.images);
  const int64_t width = gradients.levels[at.level].width, cells = gradients.levels[at.level].height * width;
  Extent all = nothing();
  for (int64_t b = threadIdx.x; b < bins; b += blockDim.x) {
    Extent extent = nothing();
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t cell = read(argmax, (r * channels + c) * bins + b);
      if (cell >= 0 && cell < cells) extent = hull(extent, cell_extent(cell, width));
    }
    bin_extents[r * bins + b] = extent;
    all = hull(all, extent);
  }
  extents[threadIdx.x] = all;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (unsigned n = 1; n < blockDim.x; ++n) all = hull(all, extents[n]);
  reaches[r] = {at, all};
}

// v2, v3: block x, y has tile x, counted over all levels and images, and 32 channels, one to a lane. Its warps take
// turns at the RoIs that meet the tile, each with sums of its own.
template <typename E, int kWarps>
__global__ void add_in_tiles(Pyramid gradients, int64_t count, int64_t bins, const E* grad, ArgMax argmax,
                             const Reach* reaches, const Extent* bin_extents) {
  __shared__ Wide<E> sums[kWarps][kTile * kTile * kPitch];  // (warp, cell, channel)
  int64_t l = 0, tile = blockIdx.x;
  for (; l < gradients.depth - 1; ++l) {
    const Level& level = gradients.levels[l];
    const int64_t tiles = gradients.images * groups(level.height, kTile) * groups(level.width, kTile);
    if (tile < tiles) break;
    tile -= tiles;
  }
  const Level& level = gradients.levels[l];
  const int64_t across = groups(level.width, kTile), down = groups(level.height, kTile);
  const int64_t image = tile / (across * down), top = tile / across % down * kTile, left = tile % across * kTile;
  const Extent area{{top, smaller(top + kTile, level.height)}, {left, smaller(left + kTile, level.width)}};
  const int64_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, channels = gradients.channels;
  const int64_t c = int64_t(blockIdx.y) * kWarp + lane;

  for (int cell = 0; cell < kTile * kTile; ++cell) sums[warp][cell * kPitch + lane] = 0;
  int64_t turn = 0;
  for (int64_t first = 0; first < count; first += kWarp) {
    const int64_t candidate = first + lane;
    bool hit = candidate < count && reaches[candidate].at.good && reaches[candidate].at.level == l;
    hit = hit && reaches[candidate].at.image == image && meet(reaches[candidate].extent, area);
    const unsigned hits = __ballot_sync(kFullMask, hit);
    for (unsigned n = 0; n < kWarp; ++n) {
      if ((hits >> n & 1) == 0 || turn++ % kWarps != warp) continue;  // for all lanes alike
      const int64_t r = first + n;
      for (int64_t first_bin = 0; first_bin < bins; first_bin += kWarp) {
        const int64_t own = first_bin + lane;  // a lane looks whether this bin meets the tile
        const unsigned bin_hits = __ballot_sync(kFullMask, own < bins && meet(bin_extents[r * bins + own], area));
        for (unsigned b = 0; b < kWarp; ++b) {
          if ((bin_hits >> b & 1) == 0 || c >= channels) continue;
          const int64_t at = (r * channels + c) * bins + first_bin + b, cell = read(argmax, at);
          const Extent one = cell_extent(cell, level.width);
          if (!meet(one, area)) continue;  // nor does -1: row 0, column -1
          const int64_t in_tile = (one.rows.begin - top) * kTile + one.columns.begin - left;
          sums[warp][in_tile * kPitch + lane] += widen(grad[at]);
        }
      }
    }
  }
  __syncthreads();

  for (int n = threadIdx.x; n < kTile * kTile * int(kWarp); n += blockDim.x) {
    // Threads lie side by side as the elements do: along channels, or along a row.
    const bool channels_last = level.channel_stride == 1;
    const int cell = channels_last ? n / int(kWarp) : n % (kTile * kTile);
    const int channel = channels_last ? n % int(kWarp) : n / (kTile * kTile);
    const int64_t row = top + cell / kTile, column = left + cell % kTile, k = int64_t(blockIdx.y) * kWarp + channel;
    if (row >= area.rows.end || column >= area.columns.end || k >= channels) continue;
    Wide<E> sum = sums[0][cell * kPitch + channel];
    for (int w = 1; w < kWarps; ++w) sum += sums[w][cell * kPitch + channel];
    static_cast<Wide<E>*>(level.data)[image * level.image_stride + k * level.channel_stride + row * level.row_stride +
                                      column * level.column_stride] = sum;
  }
}

template <typename E>
void add(const Pyramid& gradients, const Rois& rois, int64_t bins, const E* grad, const ArgMax& argmax,
         const PoolingIdeas& ideas, unsigned char* memory, cudaStream_t stream) {
  if (!ideas.gradient_tiles) {
    const dim3 grid = blocks(groups(gradients.depth * gradients.images * gradients.channels, kWarp));
    LAUNCH_KERNEL(add_in_planes<E>, grid, kWarp, 0, stream, gradients, rois, bins, grad, argmax);
    check_launch("add_in_planes");
    return;
  }
  Reach* reaches = reinterpret_cast<Reach*>(memory);
  Extent* bin_extents = reinterpret_cast<Extent*>(memory + aligned(rois.count * sizeof(Reach)));
  if (rois.count > 0) {
    const int threads = bins > 64 ? kBlock : 64;
    LAUNCH_KERNEL(find_reaches, blocks(rois.count), threads, 0, stream, gradients, rois, bins, argmax, reaches,
                  bin_extents);
    check_launch("find_reaches");
  }
  int64_t tiles = 0;
  for (int64_t l = 0; l < gradients.depth; ++l) {
    const Level& level = gradients.levels[l];
    tiles += gradients.images * groups(level.height, kTile) * groups(level.width, kTile);
  }
  if (tiles == 0) return;
  constexpr int kWarps = sizeof(Wide<E>) == sizeof(double) ? 2 : 4;  // at most 48 KB of sums
  const auto kernel = ideas.shared_tiles ? add_in_tiles<E, kWarps> : add_in_tiles<E, 1>;
  const unsigned threads = kWarp * (ideas.shared_tiles ? kWarps : 1);
  const dim3 grid = blocks(tiles, groups(gradients.channels, kWarp));
  LAUNCH_KERNEL(kernel, grid, threads, 0, stream, gradients, rois.count, bins, grad, argmax, reaches, bin_extents);
  check_launch("add_in_tiles");
}

}  // namespace

int64_t roi_max_pool_backward_workspace(const Rois& rois, int64_t bins, const PoolingIdeas& ideas) {
  return ideas.gradient_tiles ? aligned(rois.count * sizeof(Reach)) + rois.count * bins * sizeof(Extent) : 0;
}

void roi_max_pool_backward(const Pyramid& gradients, Type type, const Rois& rois, int64_t bins, const void* grad,
                           const ArgMax& argmax, const PoolingIdeas& ideas, void* workspace, void* stream) {
  if (gradients.images * gradients.channels == 0) return;
  dispatch(type, [&](auto zero) {
    using E = decltype(zero);
    add(gradients, rois, bins, static_cast<const E*>(grad), argmax, ideas, static_cast<unsigned char*>(workspace),
        static_cast<cudaStream_t>(stream));
  });
}

}  // namespace fasterfpn::cuda
