// RoI max pooling over the levels of a pyramid on a GPU, forward, in versions, one idea each; all levels in one launch.
//
//   v1  A thread for each element of the output.
//   v2  Neighbouring threads take neighbouring channels, which lie side by side in channels-last memory.
//   v3  A block for each RoI and 32 channels collects its bins in shared memory, to write them side by side.
//
// R RoIs, C channels, S x S bins. A RoI with a bad batch index or level, or with a corner that is not finite, gives
// zeros and reads nothing: to refuse it, the host would have to wait for the device.
#include "roi_max_pool.h"

namespace fasterfpn::cuda {
namespace {

constexpr int kBlock = 256;      // threads of a block
constexpr int kStagedBins = 64;  // bins that v3 collects before it writes

// Where a RoI is pooled; T is the working type. A RoI without a place is like an inverted one: its bins are empty.
template <typename T>
struct Region {
  Place at;
  Side<T> y, x;

  __device__ static Side<T> side(const Rois& rois, int64_t r, int axis, const Place& at, double scale, int64_t bins) {
    const T* roi = static_cast<const T*>(rois.corners) + 5 * r;
    return at.good ? Side<T>(roi[1 + axis], roi[3 + axis], static_cast<T>(scale), bins) : Side<T>(1, 0, 1, bins);
  }

  __device__ Region(const Pyramid& features, const Rois& rois, int64_t r, int64_t bins)
      : at(place(rois, r, features.depth, features.images)),
        y(side(rois, r, 1, at, features.levels[at.level].scale, bins)),
        x(side(rois, r, 0, at, features.levels[at.level].scale, bins)) {}
};

template <typename E>
struct Maximum {
  E value;
  int64_t cell;
};

// The maximum of a channel over the cells of bin i, j, the first of a tie; NaN compares false and is never taken.
template <typename E, typename T>
__device__ Maximum<E> maximum(const Level& level, const Region<T>& region, int64_t c, int64_t i, int64_t j) {
  const Span rows = region.y.bin(i, level.height), columns = region.x.bin(j, level.width);
  if (rows.end <= rows.begin || columns.end <= columns.begin) return {zero<E>(), -1};
  const E* plane = static_cast<const E*>(level.data) + region.at.image * level.image_stride + c * level.channel_stride;
  Maximum<E> best{minus_infinity<E>(), -1};
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    for (int64_t column = columns.begin; column < columns.end; ++column) {
      const E value = plane[row * level.row_stride + column * level.column_stride];
      if (widen(value) > widen(best.value)) best = {value, row * level.width + column};
    }
  }
  return best;
}

// v1, v2: the two differ in which elements of the output neighbouring threads have.
template <typename E, typename T, bool kChannelsFirst>
__global__ void pool_elements(Pyramid features, Rois rois, int64_t size, E* values, ArgMax argmax) {
  const int64_t bins = size * size, channels = features.channels;
  const int64_t n = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (n >= rois.count * channels * bins) return;
  const int64_t r = n / (channels * bins), rest = n % (channels * bins);
  const int64_t c = kChannelsFirst ? rest / bins : rest % channels;
  const int64_t bin = kChannelsFirst ? rest % bins : rest / channels;
  const Region<T> region(features, rois, r, size);
  const Maximum<E> best = maximum<E>(features.levels[region.at.level], region, c, bin / size, bin % size);
  const int64_t out = (r * channels + c) * bins + bin;
  values[out] = best.value;
  if (argmax.cells) write(argmax, out, best.cell);
}

// v3: shared memory holds (bin, channel), first the cells and then the values; in the output it is (channel, bin).
template <typename E, typename T>
__global__ void pool_staged(Pyramid features, Rois rois, int64_t size, int64_t staged_bins, int64_t value_offset,
                            E* values, ArgMax argmax) {
  DYNAMIC_SHARED_MEMORY(shared);
  E* staged_values = reinterpret_cast<E*>(shared + value_offset);
  const ArgMax staged_cells{shared, argmax.large};
  const int64_t bins = size * size, channels = features.channels, r = blockIdx.x;
  const int64_t first_channel = int64_t(blockIdx.y) * kWarp, width = smaller<int64_t>(kWarp, channels - first_channel);
  const int64_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const Region<T> region(features, rois, r, size);
  const Level& level = features.levels[region.at.level];
  for (int64_t first = 0; first < bins; first += staged_bins) {
    const int64_t number = smaller(staged_bins, bins - first);
    for (int64_t b = warp; b < number && lane < width; b += blockDim.x / kWarp) {
      const int64_t i = (first + b) / size, j = (first + b) % size;
      const Maximum<E> best = maximum<E>(level, region, first_channel + lane, i, j);
      staged_values[b * kPitch + lane] = best.value;
      if (argmax.cells) write(staged_cells, b * kPitch + lane, best.cell);
    }
    __syncthreads();
    for (int64_t n = threadIdx.x; n < width * number; n += blockDim.x) {
      const int64_t c = n / number, b = n % number;
      const int64_t out = (r * channels + first_channel + c) * bins + first + b;
      values[out] = staged_values[b * kPitch + c];
      if (argmax.cells) write(argmax, out, read(staged_cells, b * kPitch + c));
    }
    __syncthreads();  // before the next bins take their place
  }
}

template <typename E, typename T>
void pool(const Pyramid& features, const Rois& rois, int64_t size, E* values, const ArgMax& argmax,
          const PoolingIdeas& ideas, cudaStream_t stream) {
  const int64_t bins = size * size;
  if (!ideas.staged) {
    const auto kernel = ideas.channels_inside ? pool_elements<E, T, false> : pool_elements<E, T, true>;
    const dim3 grid = blocks(groups(rois.count * features.channels * bins, kBlock));
    LAUNCH_KERNEL(kernel, grid, kBlock, 0, stream, features, rois, size, values, argmax);
    check_launch("pool_elements");
    return;
  }
  const auto kernel = pool_staged<E, T>;
  const int64_t staged_bins = smaller<int64_t>(bins, kStagedBins), numbers = staged_bins * kPitch;
  const int64_t cell_bytes = argmax.large ? sizeof(int64_t) : sizeof(int32_t);
  const int64_t value_offset = argmax.cells ? aligned(numbers * cell_bytes) : 0;
  const unsigned bytes = static_cast<unsigned>(value_offset + numbers * sizeof(E));
  const dim3 grid = blocks(rois.count, groups(features.channels, kWarp));
  LAUNCH_KERNEL(kernel, grid, kBlock, bytes, stream, features, rois, size, staged_bins, value_offset, values, argmax);
  check_launch("pool_staged");
}

}  // namespace

void roi_max_pool(const Pyramid& features, Type type, const Rois& rois, int64_t output_size, void* values,
                  const ArgMax& argmax, const PoolingIdeas& ideas, void* stream) {
  if (rois.count * features.channels == 0) return;
  dispatch(type, [&](auto zero) {
    using E = decltype(zero);
    const auto pool_typed = rois.wide ? pool<E, double> : pool<E, float>;
    pool_typed(features, rois, output_size, static_cast<E*>(values), argmax, ideas, static_cast<cudaStream_t>(stream));
  });
}

}  // namespace fasterfpn::cuda
