#include "actors/inbox.hpp"

#include "actors/owner.hpp"
#include "storage/inbox.hpp"

namespace orch {

inbox_actor::behavior_type inbox(inbox_actor::pointer self, tree parts) {
  return {
    stored<inbox_send>(self, parts, send_to_inbox),
    stored<inbox_pending>(self, parts, list_pending),
    stored<inbox_list>(self, parts, list_inbox),
    stored<inbox_deliver>(self, parts, deliver_message),
  };
}

route_map routes(const inbox_actor& owner) {
  return routes_to(owner, inbox_methods::list{});
}

} // namespace orch
