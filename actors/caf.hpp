#pragma once

// What differs between CAF versions stays here: interface aliases, which types may be messages,
// and how a request_error travels.

#include "messages/method.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <string>
#include <vector>

namespace orch {

/// What a caf::error of ours carries besides its code.
struct error_detail {
  std::string message;
  std::string data; ///< JSON text; empty for none
};

caf::error to_caf_error(const request_error& e);

/// Also for errors of CAF's own: an actor that died answers internal.
request_error from_caf_error(const caf::error& e);

/// What is being handled, as a request_error; to be called in a catch block only.
request_error current_error();

template <class List, class... Extra>
struct actor_for_impl;

template <class... Ms, class... Extra>
struct actor_for_impl<method_list<Ms...>, Extra...> {
  using type =
    caf::typed_actor<typename caf::replies_to<call<Ms>>::template with<typename Ms::result>...,
                     Extra...>;
};

/// The interface of the actor that answers the methods of `List`, plus its `Extra` signals.
template <class List, class... Extra>
using actor_for = typename actor_for_impl<List, Extra...>::type;

} // namespace orch

CAF_ERROR_CODE_ENUM(orch::errc, "orch")

namespace caf {

// These messages never leave the process, so CAF need not know how to serialize them.
template <orch::record T>
struct allowed_unsafe_message_type<T> : std::true_type {};

template <class M>
struct allowed_unsafe_message_type<orch::call<M>> : std::true_type {};

} // namespace caf

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(orch::error_detail)
