#pragma once

#include "actors/follower.hpp"
#include "actors/thread_effects.hpp"
#include "actors/thread_start.hpp"

namespace orch {

/// Brings a directive one step further: `stored -> typed -> submitted -> seen`. Nothing is typed
/// while the agent works, asks a person, or a person is typing; `interrupt_patch` cuts its turn
/// short first. What was submitted and not seen is tried again, then reported as failed.
/// True if it was typed to a program that never says what it reads: then the next may follow.
bool deliver(effects& fx, const directive& what, followed_thread& memory);

/// A directive as it is typed. `for_cli`: what agent CLIs would take for a command of their own
/// gets a word before it; other programs get the text as it is.
std::string typed_words(const directive& what, bool for_cli = true);

/// Does a prompt that an agent was given hold these words? CLIs change blanks and wrap long pastes.
bool holds_words(std::string_view prompt, std::string_view words);

} // namespace orch
