#pragma once

#include "actors/caf.hpp"

#include <caf/event_based_actor.hpp>

#include <functional>
#include <string>
#include <unordered_map>

namespace orch {

using on_answer = std::function<void(std::string json_text)>;
using on_refusal = std::function<void(const request_error&)>;

/// The way from a method's name to its owner and back: decode, ask, encode. `call` runs one of the
/// two functions exactly once, in `self`, at once for wrong parameters.
struct route {
  const method* about = nullptr;
  std::function<void(caf::event_based_actor* self, const json& params, caller from, on_answer,
                     on_refusal)>
    call;
};

using route_map = std::unordered_map<std::string_view, route>;

template <request M, class Owner>
route route_to(const Owner& owner) {
  return {&M::about, [owner](caf::event_based_actor* self, const json& params, caller from,
                             on_answer answer, on_refusal refuse) {
            call<M> asked;
            try {
              decode(params, shape_of<M>(), &asked.params);
            } catch (const request_error& e) {
              refuse(e);
              return;
            }
            asked.from = std::move(from);
            self->request(owner, caf::infinite, std::move(asked))
              .then([answer](const typename M::result& x) { answer(to_json_text(x)); },
                    [refuse](const caf::error& e) { refuse(from_caf_error(e)); });
          }};
}

/// Routes every method of the list to `owner`. Called in the owner's own .cpp file: each method
/// costs the compiler about half a second.
template <class Owner, request... Ms>
route_map routes_to(const Owner& owner, method_list<Ms...>) {
  route_map map;
  (map.emplace(Ms::about.name, route_to<Ms>(owner)), ...);
  return map;
}

} // namespace orch
