// The CUDA kernels without torch: what operators.cpp and the tests' emulation call. All pointers are to device memory,
// dense unless strides are given; `stream` is a cudaStream_t. Nothing here waits for the device.
#pragma once

#include <cstdint>

#include "../versions.h"

namespace fasterfpn::cuda {

enum class Type { kFloat, kDouble, kBFloat16, kHalf };

// ---------------------------------------------------------------------------------------- non-maximum suppression

constexpr int64_t kNmsChunk = 1024;  // boxes that are settled at a time; tests take fewer

struct NmsInput {
  const void* boxes;        // (N, 4) of Type kFloat or kDouble
  const int64_t* order;     // (N,) the boxes' indices by segment, and within one by descending score
  const int64_t* segments;  // (N,) by index, or null
  int64_t count;
  bool wide;         // boxes are of kDouble
  double threshold;  // rounded down to a number of the boxes' type
};

// Bytes of device memory that nms needs beside its input and output.
int64_t nms_workspace(const NmsInput& input, const NmsIdeas& ideas, int64_t chunk = kNmsChunk);

// keep (N,): 1 for each box kept, 0 for the others, by index. `chunk`: a multiple of 64 up to 1024.
void nms(const NmsInput& input, const NmsIdeas& ideas, void* workspace, bool* keep, void* stream,
         int64_t chunk = kNmsChunk);

// ------------------------------------------------------------------------------------------------ RoI max pooling

constexpr int64_t kMaxLevels = 16;  // the pyramid is an argument of the kernels, which may be of 4 KB

// One level's features, or their gradients; strides in elements.
struct Level {
  void* data;
  int64_t height, width;
  int64_t image_stride, channel_stride, row_stride, column_stride;
  double scale;  // cells per pixel
};

struct Pyramid {
  int64_t depth, images, channels;
  Level levels[kMaxLevels];
};

struct Rois {
  const void* corners;    // (R, 5) batch index, x1 y1 x2 y2 in pixels
  const int64_t* levels;  // (R,)
  int64_t count;
  bool wide;  // corners are of kDouble, not of kFloat
};

// (R, C, S * S) indices row * width + column, -1 for none, as int64 if large, else int32.
struct ArgMax {
  void* cells;  // null: not wanted
  bool large;
};

void roi_max_pool(const Pyramid& features, Type type, const Rois& rois, int64_t output_size, void* values,
                  const ArgMax& argmax, const PoolingIdeas& ideas, void* stream);

int64_t roi_max_pool_backward_workspace(const Rois& rois, int64_t bins, const PoolingIdeas& ideas);

// grad (R, C, bins) of `type`. The gradients are of kDouble for kDouble, else of kFloat; every element is written.
void roi_max_pool_backward(const Pyramid& gradients, Type type, const Rois& rois, int64_t bins, const void* grad,
                           const ArgMax& argmax, const PoolingIdeas& ideas, void* workspace, void* stream);

}  // namespace fasterfpn::cuda
