#pragma once

#include "io/process.hpp"
#include "messages/error.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace orch {

/// The arguments that make tmux run these commands in this order, until one fails. tmux takes an
/// argument that ends in ';' for the end of a command; here none is, whatever it contains.
std::vector<std::string> tmux_arguments(const std::vector<std::vector<std::string>>& commands);

/// Throws `invalid_params` unless it is a pane's id, "%12": any other target could mean a pane that
/// is not ours.
void check_pane(std::string_view id);

/// Text that tmux's formats leave as it is: "#{", "#(" and the like mean nothing in it.
std::string format_literal(std::string_view text);

bool tmux_said(const outcome& result, std::initializer_list<std::string_view> phrases);

/// No server runs, so there are no sessions and panes.
bool no_server(const outcome& result);

/// Neither is the session, window or pane there, or there is no server.
bool nothing_there(const outcome& result);

/// The error for what tmux said: not_found, conflict, too_large, timeout or unavailable, with its
/// words in the message and data.stderr.
request_error tmux_failed(std::string_view command, const outcome& result);

/// A word that nobody else uses, in this process or any other, nor can guess.
std::string unique_word();

} // namespace orch
