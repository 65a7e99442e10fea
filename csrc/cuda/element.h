// The types of the features' elements. The half types are their bits: no kernel computes in them, only compares and
// adds them widened to float, which is exact.
#pragma once

#include <cstring>
#include <type_traits>

#include "../arithmetic.h"

namespace fasterfpn::cuda {

struct BFloat16 {
  uint16_t bits;
};

struct Half {
  uint16_t bits;
};

// The type to compare and to add in.
template <typename E>
using Wide = std::conditional_t<std::is_same_v<E, double>, double, float>;

FASTERFPN_HOST_DEVICE inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

FASTERFPN_HOST_DEVICE inline float widen(float x) { return x; }
FASTERFPN_HOST_DEVICE inline double widen(double x) { return x; }
FASTERFPN_HOST_DEVICE inline float widen(BFloat16 x) { return float_of(uint32_t(x.bits) << 16); }

FASTERFPN_HOST_DEVICE inline float widen(Half x) {
  const uint32_t magnitude = x.bits & 0x7fffu, sign = uint32_t(x.bits & 0x8000u) << 16;
  if (magnitude >= 0x7c00u) return float_of(sign | 0x7f800000u | magnitude << 13);  // infinite or NaN
  const float value = float_of(magnitude << 13) * 0x1p112f;  // the exponent's bias from 15 to 127; subnormals, too
  return sign ? -value : value;
}

template <typename E>
FASTERFPN_HOST_DEVICE inline E zero() {
  return E{};
}

template <typename E>
FASTERFPN_HOST_DEVICE inline E minus_infinity() {
  if constexpr (std::is_same_v<E, BFloat16>) {
    return {0xff80};
  } else if constexpr (std::is_same_v<E, Half>) {
    return {0xfc00};
  } else {
    return static_cast<E>(float_of(0xff800000u));
  }
}

}  // namespace fasterfpn::cuda
