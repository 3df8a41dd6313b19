#pragma once

#include "io/process.hpp"
#include "io/tmux_version.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch {

/// Which tmux server to talk to, and by which program.
struct tmux_options {
  std::string socket_name{};   ///< for -L; empty: the server that `tmux` means to the user
  std::string program{"tmux"}; ///< looked up in PATH
  std::filesystem::path configuration{};     ///< read when the server starts; empty: the user's
  std::chrono::milliseconds timeout{10'000}; ///< for each run of tmux
};

/// What a pane runs. tmux executes it without a shell and with these very arguments.
///
/// Its environment is that of the tmux server, which is the environment of whoever happened to
/// start that server, under the session's (`update-environment`: DISPLAY, SSH_AUTH_SOCK and the
/// like, from whoever made the session), under `environment`; PATH alone is ours. So whatever a
/// program relies on must be named here. TMUX, TMUX_PANE and TERM are tmux's.
///
/// A program that is not there shows as a dead pane with status 1 (127 if it runs by env(1)).
struct pane_command {
  std::vector<std::string> argv;   ///< never empty
  std::filesystem::path directory; ///< must be there: tmux would quietly take the home directory
  std::vector<std::pair<std::string, std::string>> environment{};
};

/// A session with one window of one pane.
struct session_request {
  std::string name; ///< made usable by `safe_name`
  std::string window;
  pane_command command;
  int width = 200; ///< in cells, until somebody attaches with another size
  int height = 50;
};

enum class split_direction : uint8_t { horizontal /* side by side */, vertical /* one above */ };

struct split_request {
  std::string target; ///< the pane "%1" to split, or a window "@1": its active pane
  split_direction direction = split_direction::vertical;
  pane_command command;
  std::optional<int> percent{}; ///< of the old pane that the new one gets; half if not said
};

/// A pane at one moment. Only the ids are ours to rely on: a program in a pane may change the
/// title and window name, the user all names.
struct pane_info {
  std::string id;        ///< "%12": unique until the server ends, then counted from 0 again, so
  int64_t server = 0;    ///< an id is worth nothing without the server's process id beside it
  std::string session;   ///< its name
  std::string window;    ///< its name
  std::string window_id; ///< "@3"
  int64_t pid = 0;       ///< of the program; stays when it has ended
  bool dead = false;     ///< the program has ended and the pane stayed
  /// None if a signal ended it, and for a moment until tmux knows. A program that closes its
  /// terminal before it ends, as cat does, may get tmux's SIGHUP in between.
  std::optional<int> dead_status{};
  std::string dead_signal{};   ///< a name or number, from tmux 3.4 on
  std::string title;           ///< may be anything that the program likes
  std::string current_command; ///< likewise
  std::string terminal;        ///< its device, "/dev/pts/3"
  bool in_mode = false;        ///< somebody looks through it (copy mode): keys go there
  int width = 0;
  int height = 0;
  int cursor_x = 0;
  int cursor_y = 0;
  int64_t activity = 0; ///< when the window last had output, in seconds since 1970
};

struct capture_request {
  int lines = 200;        ///< at most that many, counted from the end
  bool escapes = false;   ///< with colours, as SGR sequences
  bool unwrapped = false; ///< lines that the terminal wrapped are one line again
};

enum class attachment : uint8_t { read_write, read_only };

/// Runs the tmux program. Nothing of it passes through a shell, names are exact (never prefixes or
/// patterns), panes are addressed by id, every run ends in time, and all of it is safe in any
/// thread and process at once.
///
/// The server outlives this process and its process group, and has none of our descriptors that
/// are closed at exec.
///
/// Besides what is said below, all throw `request_error`: `unavailable` if tmux is missing (with
/// data.instructions), too old or goes away meanwhile, `timeout`, `too_large` for a command that
/// does not fit into the 16 KiB that tmux takes (put long text into a file and name that),
/// `not_found` for a pane or session that is gone.
class tmux {
public:
  explicit tmux(tmux_options options = {});

  /// Nothing if tmux is missing. Asked once; a missing tmux is looked for again.
  std::optional<tmux_version> version() const;

  /// Is there one, and new enough?
  bool is_usable() const;

  bool has_session(std::string_view name) const;

  /// Names in tmux's order; none if no server runs.
  std::vector<std::string> list_sessions() const;

  /// Returns the id of the pane, which stays with the exit status when the program ends, however
  /// soon. `conflict` if the name is taken: sessions of others are never touched.
  std::string new_session(const session_request& request) const;

  /// Ends its programs (SIGHUP). False if there was none.
  bool kill_session(std::string_view name) const;

  /// Returns the id of the new pane, which stays when its program ends, and so do all panes of the
  /// window from then on. `conflict` if there is no room.
  std::string split(const split_request& request) const;

  /// Starts a program in a dead pane, under the same id; `conflict` while one runs there.
  void respawn(std::string_view pane, const pane_command& command) const;

  /// Ends its program (SIGHUP). False if it was gone. With its last pane a window goes, with its
  /// last window a session, with the last session the server.
  bool kill_pane(std::string_view pane) const;

  /// Makes all panes of this pane's window about equally large: room for further splits.
  void tile(std::string_view pane) const;

  /// The panes of a session or of all; none if there is no such session or no server. A pane that
  /// several sessions show is listed for each.
  std::vector<pane_info> list_panes(std::string_view session = {}) const;

  std::optional<pane_info> pane(std::string_view id) const;

  /// What the pane shows, and before that its history; without the blank lines at the end. The last
  /// line of a dead pane is tmux's: "Pane is dead (status 1, ...)".
  std::string capture(std::string_view pane, const capture_request& request = {}) const;

  /// Puts `typeable(text)` into the pane's input as one paste, byte for byte. Returning means that
  /// tmux has written it to the terminal or keeps it until there is room, not that the program read
  /// it.
  ///
  /// Programs that asked for bracketed paste get it between brackets: text that newlines do not
  /// submit. To others it looks like typing, so each newline (LF, never CR) may submit a line. A
  /// program that reads lines in the terminal's canonical mode gets no more than 4095 bytes of a
  /// line: the kernel drops the rest. `failed_precondition` if the pane is dead or its input off.
  /// `then_enter`: and presses Enter right after it. Programs that draw what is pasted may take
  /// that for part of the paste: those need a moment and a `press` of its own.
  void type_text(std::string_view pane, std::string_view text, bool then_enter = false) const;

  /// Presses a key: a character, or Enter, Escape, Tab, BTab, BSpace, Space, Up, Down, Left, Right,
  /// Home, End, PageUp, PageDown, Insert, Delete, F1 to F12, after any of C-, M-, S-. Others are
  /// `invalid_params`: tmux would type a word that it does not know. In copy mode keys do not reach
  /// the program. `failed_precondition` as above.
  void press(std::string_view pane, std::string_view key) const;

  /// Back from copy mode or any other to the program; nothing if it is in none.
  void leave_copy_mode(std::string_view pane) const;

  /// A shell command for the user: "tmux attach-session -t NAME", with "-r" to look only.
  std::string attach_command(std::string_view session, attachment kind) const;

  /// The same for those inside tmux: "tmux switch-client -t NAME".
  std::string switch_command(std::string_view session) const;

private:
  using command = std::vector<std::string>;

  struct call {
    std::vector<command> commands; ///< run in this order, until the first that fails
    std::string input{};
  };

  outcome attempt(const call& c) const;
  std::string output_of(const call& c) const;
  tmux_features features() const;
  void append(command& to, const pane_command& what) const;
  command key_command(std::string_view pane, std::string_view key) const;
  outcome attempt_paste(const call& c, const std::string& buffer) const;
  std::vector<pane_info> panes_of(const command& selection) const;
  std::vector<std::string> words(std::string_view verb, std::string_view session) const;

  tmux_options options_;
  mutable std::mutex mutex_{};
  mutable std::optional<tmux_version> version_{};
};

/// A name that tmux takes as it is and that means nothing else to it. tmux itself would change some
/// characters without a word; all that it changes, that start another kind of name or that its
/// formats expand become '_'. What comes out stays the same when put in again.
std::string safe_name(std::string_view name);

/// The text without what would act on a terminal instead of being text: all control characters but
/// newline and tab, so that nothing in it can end a bracketed paste. CR LF and CR become LF, bytes
/// that are no UTF-8 become U+FFFD.
std::string typeable(std::string_view text);

/// How many bytes of a line the program in a pane can get: 4095 while the terminal gives it whole
/// lines (canonical mode, see termios(3)); nothing if there is no such limit, or it is not known.
std::optional<std::size_t> longest_line(const pane_info& pane);

} // namespace orch
