// Greedy non-maximum suppression on a GPU, in versions, one idea each:
//
//   v1  Every pair is compared at once; one warp then goes through the boxes, best first.     N^2 bits of memory
//   v2  Boxes are settled a chunk at a time, and those kept strike out later boxes.           N x chunk bits
//   v3  A chunk is settled in rounds, all of its boxes at once.                               the same
//
// The rule of all three: a box is kept unless a kept box before it, in its segment, overlaps it by more than the
// threshold. "Before" is the order in which boxes are visited: by segment, and within one by descending score. So one
// chain of launches does all segments, and the host need not know how many there are, nor anything else.
//
// A box with a coordinate that is not finite has an area that is not, and IoU 0 or NaN: it is kept, and strikes out
// none.
#include "../arithmetic.h"
#include "kernels.h"
#include "launch.h"

namespace fasterfpn::cuda {
namespace {

constexpr int kWord = 64;    // boxes to a word of a mask
constexpr int kBlock = 128;  // threads of a block; a multiple of kWord

// The boxes in the order in which they are visited.
template <typename T>
struct Visited {
  Box<T>* boxes;
  int64_t* segments;  // null: all in one
  int64_t count;
  T threshold;
};

__device__ bool together(const int64_t* segments, int64_t i, int64_t j) {
  return segments == nullptr || segments[i] == segments[j];
}

// Most pairs do not meet at all: their IoU is 0 or NaN, and the division, ten times the rest, can be left out.
template <typename T>
__device__ bool overlap(const Box<T>& a, const Box<T>& b, T threshold) {
  const bool meet = smaller(a.x2, b.x2) > larger(a.x1, b.x1) && smaller(a.y2, b.y2) > larger(a.y1, b.y1);
  return meet && iou(a, area(a), b, area(b)) > threshold;
}

template <typename T>
__global__ void visit(const T* boxes, const int64_t* order, const int64_t* segments, Visited<T> visited, bool* struck) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= visited.count) return;
  const T* corner = boxes + 4 * order[i];
  visited.boxes[i] = {corner[0], corner[1], corner[2], corner[3]};
  if (segments != nullptr) visited.segments[i] = segments[order[i]];
  struck[i] = false;
}

// The masks of a chunk of 64 `words` boxes: bit b of word w of box i says that box 64 w + b of the chunk comes before
// box i, in its segment, and overlaps it. Word w of the chunk's boxes lies side by side, for threads that take a box
// each; only words up to the box's own are written.
__device__ int64_t mask_index(int64_t i, int64_t w, int64_t words) {
  const int64_t chunk = words * kWord;
  return i / chunk * chunk * words + w * chunk + i % chunk;
}

// Block x, y makes word y for the boxes 64 x, ..., 64 x + 63, a thread for each.
template <typename T>
__global__ void make_masks(Visited<T> visited, int64_t words, uint64_t* masks) {
  __shared__ Box<T> tile[kWord];
  const int64_t word = blockIdx.y, own_word = blockIdx.x % words;
  if (word > own_word) return;  // later boxes; the whole block returns
  const int64_t first = (blockIdx.x - own_word + word) * kWord;
  const int64_t i = int64_t(blockIdx.x) * kWord + threadIdx.x;
  if (first + threadIdx.x < visited.count) tile[threadIdx.x] = visited.boxes[first + threadIdx.x];
  __syncthreads();
  if (i >= visited.count) return;
  const Box<T> box = visited.boxes[i];
  const int64_t number = smaller<int64_t>(kWord, i - first);  // of the boxes before this one
  uint64_t mask = 0;
  for (int64_t b = 0; b < number; ++b) {
    const bool suppresses = overlap(tile[b], box, visited.threshold) && together(visited.segments, first + b, i);
    mask |= uint64_t(suppresses) << b;
  }
  masks[mask_index(i, word, words)] = mask;
}

// v1, v2: one warp settles the boxes begin, ..., end - 1, one after the other. kept_bits: a bit for each of the chunk;
// word w is lane w % 32's alone, to read and to write. So lanes only pass votes, and a vote orders no memory.
__global__ void scan(int64_t begin, int64_t end, int64_t words, const uint64_t* masks, const bool* struck,
                     uint64_t* kept_bits, bool* kept) {
  for (int64_t w = threadIdx.x; w < words; w += kWarp) kept_bits[w] = 0;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t place = i - begin, last_word = place / kWord;
    bool suppressed = struck[i];
    for (int64_t w = threadIdx.x; w <= last_word; w += kWarp) {
      suppressed |= (masks[mask_index(i, w, words)] & kept_bits[w]) != 0;
    }
    suppressed = __any_sync(kFullMask, suppressed);
    if (threadIdx.x == last_word % kWarp) {
      kept[i] = !suppressed;
      kept_bits[last_word] |= uint64_t(!suppressed) << place % kWord;
    }
  }
}

// v3: a thread for each box of a chunk. In each round, a box that a kept one overlaps is settled, and so is a box that
// no unsettled one before it overlaps. The first unsettled box always is one of these, so it ends; usually soon, for
// the number of rounds is the length of the longest chain of boxes that wait for each other.
__global__ void settle(int64_t begin, int64_t end, int64_t words, const uint64_t* masks, const bool* struck,
                       bool* kept) {
  __shared__ unsigned open_bits[kNmsChunk / kWarp], kept_bits[kNmsChunk / kWarp];  // a bit for each box of the chunk
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t i = begin + threadIdx.x;
  bool open = i < end && !struck[i], keep = false;
  while (true) {
    const unsigned open_vote = __ballot_sync(kFullMask, open), kept_vote = __ballot_sync(kFullMask, keep);
    if (lane == 0) open_bits[warp] = open_vote, kept_bits[warp] = kept_vote;
    __syncthreads();
    unsigned any_open = 0;
    for (unsigned w = 0; w < blockDim.x / kWarp; ++w) any_open |= open_bits[w];
    if (any_open == 0) break;  // for all threads alike
    if (open) {
      uint64_t keepers = 0, waits = 0;
      for (int64_t w = 0; w <= threadIdx.x / kWord; ++w) {
        const uint64_t mask = masks[mask_index(i, w, words)];
        keepers |= mask & (uint64_t(kept_bits[2 * w + 1]) << 32 | kept_bits[2 * w]);
        waits |= mask & (uint64_t(open_bits[2 * w + 1]) << 32 | open_bits[2 * w]);
      }
      keep = keepers == 0 && waits == 0;
      open = keepers == 0 && waits != 0;
    }
    __syncthreads();  // all have read the bits
  }
  if (i < end) kept[i] = keep;
}

// v2, v3: the kept boxes of the chunk begin, ..., end - 1 strike out later boxes. Only the chunk's last segment reaches
// beyond it. Block x, y has 128 later boxes, one a thread, and the kept ones of 128 boxes of the chunk. Several blocks
// may strike out a box, and read whether it is: all write the same, and volatile accesses are relaxed atomic ones.
template <typename T>
__global__ void strike_later(Visited<T> visited, int64_t begin, int64_t end, const bool* kept, volatile bool* struck) {
  __shared__ Box<T> tile[kBlock];
  __shared__ int number;
  const int64_t i = end + int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (threadIdx.x == 0) number = 0;
  __syncthreads();
  const int64_t k = begin + int64_t(blockIdx.y) * kBlock + threadIdx.x;
  if (k < end && kept[k] && together(visited.segments, k, end - 1)) {
    tile[atomicAdd(&number, 1)] = visited.boxes[k];  // in any order: what counts is whether one of them overlaps
  }
  __syncthreads();
  if (i >= visited.count || struck[i] || !together(visited.segments, i, end - 1)) return;
  const Box<T> box = visited.boxes[i];
  for (int n = 0; n < number; ++n) {
    if (overlap(tile[n], box, visited.threshold)) {
      struck[i] = true;
      return;
    }
  }
}

__global__ void write_keep(const int64_t* order, const bool* kept, int64_t count, bool* keep) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) keep[order[i]] = kept[i];
}

// Where the parts of the workspace begin, in bytes.
struct Layout {
  int64_t chunk, words, boxes, segments, masks, kept_bits, kept, struck, bytes;

  Layout(const NmsInput& input, const NmsIdeas& ideas, int64_t wanted_chunk) {
    chunk = ideas.chunks ? wanted_chunk : groups(input.count, kWord) * kWord;
    words = chunk / kWord;
    boxes = 0;
    segments = boxes + aligned(input.count * (input.wide ? sizeof(Box<double>) : sizeof(Box<float>)));
    masks = segments + aligned(input.segments ? input.count * sizeof(int64_t) : 0);
    kept_bits = masks + aligned(chunk ? groups(input.count, chunk) * chunk * words * sizeof(uint64_t) : 0);
    kept = kept_bits + aligned(words * sizeof(uint64_t));
    struck = kept + aligned(input.count);
    bytes = struck + aligned(input.count);
  }
};

template <typename T>
void run(const NmsInput& input, const NmsIdeas& ideas, unsigned char* memory, bool* keep, cudaStream_t stream,
         int64_t wanted_chunk) {
  const Layout layout(input, ideas, wanted_chunk);
  const int64_t count = input.count, chunk = layout.chunk, words = layout.words;
  const Visited<T> visited{reinterpret_cast<Box<T>*>(memory + layout.boxes),
                           input.segments ? reinterpret_cast<int64_t*>(memory + layout.segments) : nullptr, count,
                           static_cast<T>(input.threshold)};
  uint64_t *masks = reinterpret_cast<uint64_t*>(memory + layout.masks),
           *kept_bits = reinterpret_cast<uint64_t*>(memory + layout.kept_bits);
  bool *kept = reinterpret_cast<bool*>(memory + layout.kept), *struck = reinterpret_cast<bool*>(memory + layout.struck);

  LAUNCH_KERNEL(visit<T>, blocks(groups(count, kBlock)), kBlock, 0, stream, static_cast<const T*>(input.boxes),
                input.order, input.segments, visited, struck);
  check_launch("visit");
  LAUNCH_KERNEL(make_masks<T>, blocks(groups(count, kWord), words), kWord, 0, stream, visited, words, masks);
  check_launch("make_masks");
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t end = smaller(begin + chunk, count);
    if (ideas.rounds) {
      LAUNCH_KERNEL(settle, 1, static_cast<unsigned>(chunk), 0, stream, begin, end, words, masks, struck, kept);
    } else {
      LAUNCH_KERNEL(scan, 1, kWarp, 0, stream, begin, end, words, masks, struck, kept_bits, kept);
    }
    check_launch("scan or settle");
    if (end == count) break;
    const dim3 grid = blocks(groups(count - end, kBlock), groups(chunk, kBlock));
    LAUNCH_KERNEL(strike_later<T>, grid, kBlock, 0, stream, visited, begin, end, kept, struck);
    check_launch("strike_later");
  }
  LAUNCH_KERNEL(write_keep, blocks(groups(count, kBlock)), kBlock, 0, stream, input.order, kept, count, keep);
  check_launch("write_keep");
}

}  // namespace

int64_t nms_workspace(const NmsInput& input, const NmsIdeas& ideas, int64_t chunk) {
  return Layout(input, ideas, chunk).bytes;
}

void nms(const NmsInput& input, const NmsIdeas& ideas, void* workspace, bool* keep, void* stream, int64_t chunk) {
  if (input.count == 0) return;
  const auto run_typed = input.wide ? run<double> : run<float>;
  run_typed(input, ideas, static_cast<unsigned char*>(workspace), keep, static_cast<cudaStream_t>(stream), chunk);
}

}  // namespace fasterfpn::cuda
