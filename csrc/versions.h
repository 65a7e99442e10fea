// The versions of the kernels. Each is a worklog entry that still runs: it adds one idea to the version before, and all
// give the same result. Only the tables below number them. A kernel asks for an idea by name, `ideas.radix`, and Python
// reads the tables through fasterfpn::versions. The files of the kernels explain the ideas.
#pragma once

#include <cstddef>
#include <cstdint>

#include "check.h"

namespace fasterfpn {

// The row of a version, counted from 1; 0 asks for the newest.
template <typename Ideas, size_t kCount>
const Ideas& ideas_of(const Ideas (&versions)[kCount], int64_t version) {
  constexpr int64_t kNewest = kCount;
  check(version >= 0 && version <= kNewest, "version: expected 0 to ", kNewest, ", got ", version);
  return versions[version == 0 ? kNewest - 1 : version - 1];
}

namespace cpu {

struct NmsIdeas {
  const char* newest;  // what the version adds
  bool products, grid, radix, balance;
};
constexpr NmsIdeas kNmsVersions[] = {
    {"scan of the kept boxes", false, false, false, false}, {"products before division", true, false, false, false},
    {"pyramid of grids", true, true, false, false},         {"radix sort", true, true, true, false},
    {"balanced segments", true, true, true, true},
};

struct PoolingIdeas {
  const char* newest;  // what the version adds
  bool blocks, placed, tiles, huge_pages;
};
constexpr PoolingIdeas kPoolingVersions[] = {
    {"bin by bin", false, false, false, false},  {"blocks of channels", true, false, false, false},
    {"RoIs by place", true, true, false, false}, {"gradient in tiles", true, true, true, false},
    {"huge pages", true, true, true, true},
};

}  // namespace cpu

namespace cuda {

struct NmsIdeas {
  const char* newest;  // what the version adds
  bool chunks, rounds;
};
constexpr NmsIdeas kNmsVersions[] = {
    {"all pairs at once", false, false},
    {"chunks of boxes", true, false},
    {"chunks in rounds", true, true},
};

struct PoolingIdeas {
  const char* newest;  // what the version adds
  bool channels_inside, gradient_tiles, staged, shared_tiles;
};
constexpr PoolingIdeas kPoolingVersions[] = {
    {"a thread an element", false, false, false, false},
    {"channels side by side, gradient in tiles", true, true, false, false},
    {"staged output, four warps a tile", true, true, true, true},
};

}  // namespace cuda
}  // namespace fasterfpn
