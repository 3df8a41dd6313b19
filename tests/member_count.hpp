#pragma once

#include <cstddef>

namespace orch {

/// Converts to whatever a member is, so that an aggregate can be built from so many of them.
struct any_member {
  template <class T>
  operator T() const;
};

/// How many data members the aggregate `T` has.
template <class T, class... Members>
consteval std::size_t member_count() {
  if constexpr (requires { T{Members{}..., any_member{}}; })
    return member_count<T, Members..., any_member>();
  else
    return sizeof...(Members);
}

} // namespace orch
