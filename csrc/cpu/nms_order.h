// The order in which NMS visits boxes: best score first and, of equal scores, the lower index first.
//
// v1  std::stable_sort with a comparison.
// v4  Radix sort. A float's bits, some of them flipped, order like the float; sorted 11 bits at a time by counting, the
//     least significant first, they take 3 passes over the data instead of log2(N) rounds of mispredicted branches.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

namespace fasterfpn::cpu {

using Indices = std::vector<uint32_t>;

template <typename Key>
struct Keyed {
  Key key;
  uint32_t index;
};

// Sorts by key, stably. A pass whose digits are all equal is skipped: few segments cost one pass, not six.
template <typename Key>
void radix_sort(std::vector<Keyed<Key>>& items) {
  constexpr int kBits = 11, kPasses = (8 * sizeof(Key) + kBits - 1) / kBits;
  constexpr Key kMask = (Key(1) << kBits) - 1;
  std::vector<std::array<uint32_t, 1 << kBits>> counts(kPasses);  // all passes' digits are counted in one go
  for (const Keyed<Key>& item : items) {
    for (int pass = 0; pass < kPasses; ++pass) ++counts[pass][item.key >> (kBits * pass) & kMask];
  }
  std::vector<Keyed<Key>> sorted(items.size());
  for (int pass = 0; pass < kPasses; ++pass) {
    std::array<uint32_t, 1 << kBits>& place = counts[pass];
    if (items.empty() || place[items[0].key >> (kBits * pass) & kMask] == items.size()) continue;
    uint32_t begin = 0;
    for (uint32_t& count : place) begin += std::exchange(count, begin);
    for (const Keyed<Key>& item : items) sorted[place[item.key >> (kBits * pass) & kMask]++] = item;
    items.swap(sorted);
  }
}

// An unsigned integer that is the smaller, the larger the score.
template <typename Score>
inline auto descending_key(Score score) {
  using Key = std::conditional_t<sizeof(Score) == 4, uint32_t, uint64_t>;
  constexpr Key kSign = Key(1) << (8 * sizeof(Key) - 1);
  Key bits;
  score += Score(0);  // -0 becomes +0, its equal
  std::memcpy(&bits, &score, sizeof(bits));
  return bits & kSign ? bits : static_cast<Key>(~(bits | kSign));
}

template <typename Score>
Indices by_score(const Score* scores, int64_t count, bool by_radix) {
  Indices order(count);
  if (!by_radix) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [=](uint32_t i, uint32_t j) { return scores[i] > scores[j]; });
    return order;
  }
  std::vector<Keyed<decltype(descending_key(*scores))>> items(count);
  for (int64_t i = 0; i < count; ++i) items[i] = {descending_key(scores[i]), static_cast<uint32_t>(i)};
  radix_sort(items);
  for (int64_t i = 0; i < count; ++i) order[i] = items[i].index;
  return order;
}

// Brings the boxes of a segment together; within one they stay in the order that they are in.
inline void group(Indices& order, const int64_t* segments, bool by_radix) {
  if (!by_radix) {
    std::stable_sort(order.begin(), order.end(), [=](uint32_t i, uint32_t j) { return segments[i] < segments[j]; });
    return;
  }
  std::vector<Keyed<uint64_t>> items(order.size());
  for (size_t i = 0; i < order.size(); ++i) items[i] = {static_cast<uint64_t>(segments[order[i]]), order[i]};
  radix_sort(items);
  for (size_t i = 0; i < order.size(); ++i) order[i] = items[i].index;
}

}  // namespace fasterfpn::cpu
