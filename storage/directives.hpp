#pragma once

#include "storage/inbox.hpp"
#include "storage/threads.hpp"

namespace orch {

/// Something to be told to an agent: stored, then typed into its pane, submitted, and seen by it;
/// or failed.
struct directive {
  int64_t id = 0;
  int64_t thread_id = 0;
  std::string mode = "queue"; ///< interrupt_patch, queue or restart
  std::string text;
  std::string state = "stored";
  int64_t attempts = 0;
  std::optional<int64_t> inbox_message_id; ///< the message that it carries
  std::optional<std::string> error_message;
  timestamp created_at;
  timestamp updated_at;

  field_list fields() {
    return {
      required("id", id),
      required("thread_id", thread_id),
      required("mode", mode),
      required("text", text),
      required("state", state),
      required("attempts", attempts),
      optional("inbox_message_id", inbox_message_id),
      optional("error_message", error_message),
      required("created_at", created_at),
      required("updated_at", updated_at),
    };
  }

  bool over() const { return state == "seen" || state == "failed"; }
};

/// Stores a directive for a live thread (failed_precondition).
directive add_directive(tx& t, int64_t thread_id, const std::string& mode, const std::string& text);

directive get_directive(tx& t, int64_t directive_id);

/// The oldest directive that is not over; if there is none, the oldest pending message of the
/// thread becomes one.
std::optional<directive> next_directive(tx& t, int64_t thread_id);

/// Notes how far it came. A message that an agent has fetched meanwhile is not delivered again:
/// then false, and the directive is over.
bool begin_typing(tx& t, int64_t directive_id);
void note_delivery(tx& t, int64_t directive_id, const std::string& state,
                   const std::optional<std::string>& error_message = {});

/// Nothing of it was typed after all: it waits as before.
void put_back(tx& t, int64_t directive_id);

/// A restart that could not carry the words: they are typed like those of any other directive.
void queue_again(tx& t, int64_t directive_id);

/// What a thread that is looked after is called among the things in hand.
std::string name_of_following(int64_t thread_id);

/// The threads that need looking after and that no living server looks after: something is on its
/// way to them, or they review. They are ours from now on, those that are ours already included.
std::vector<int64_t> threads_to_follow(tx& t);

/// Are there any, of whatever server? Cheap.
bool any_to_follow(tx& t);

void stop_following(tx& t, int64_t thread_id);

} // namespace orch
