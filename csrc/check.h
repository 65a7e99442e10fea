// How the operators refuse an argument.
#pragma once

#include <sstream>
#include <stdexcept>

namespace fasterfpn {

// Throws std::invalid_argument unless `good`. The message begins with the name of the argument: by the name
// fasterfpn/ops/backend.py recognises a refusal, which torch passes on as ValueError or as RuntimeError.
template <typename... Parts>
void check(bool good, const Parts&... message) {
  if (good) return;
  std::ostringstream text;
  (text << ... << message);
  throw std::invalid_argument(text.str());
}

}  // namespace fasterfpn
