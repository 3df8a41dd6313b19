#pragma once

#include "messages/inbox.hpp"
#include "storage/tx.hpp"

namespace orch {

inbox_answer send_to_inbox(tx& t, const inbox_send& request);
inbox_page list_pending(tx& t, const inbox_pending& request);
inbox_page list_inbox(tx& t, const inbox_list& request);

/// Takes it as delivered; who asks again gets the same.
inbox_answer deliver_message(tx& t, const inbox_deliver& request);

} // namespace orch
