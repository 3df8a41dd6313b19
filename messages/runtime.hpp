#pragma once

#include "messages/method.hpp"

namespace orch {

/// Something the runtime needed, was looked for, and what came of it; kept as an event.
struct runtime_event {
  int64_t id = 0;
  std::optional<int64_t> session_id;
  std::string requirement = "tmux";
  std::string status;
  std::optional<std::string> detail;
  timestamp created_at;

  field_list fields() {
    return {
      required("id", id),
      optional("session_id", session_id),
      required("requirement", requirement, "tmux"),
      required("status", status, "ready, installed or manual_required"),
      optional("detail", detail),
      required("created_at", created_at),
    };
  }
};

/// Is tmux there?
struct tmux_readiness {
  std::string status;
  std::optional<std::string> tmux_path;
  std::optional<std::string> tmux_version;
  std::optional<std::vector<std::string>> attempts;
  std::optional<std::string> manual_instructions;
  std::optional<runtime_event> event;

  field_list fields() {
    return {
      required("status", status, "ready, installed or manual_required"),
      optional("tmux_path", tmux_path),
      optional("tmux_version", tmux_version),
      optional("attempts", attempts, "what was tried to install it"),
      optional("manual_instructions", manual_instructions, "what a person can do"),
      optional("event", event, "what was recorded"),
    };
  }

  bool ready() const { return status != "manual_required"; }
};

struct runtime_tmux_ensure {
  static constexpr method about{"runtime.tmux.ensure",
                                "See that tmux is there; install it if that needs no password.",
                                access::effect};
  using result = tmux_readiness;

  std::optional<int64_t> session_id;
  bool auto_install = true;

  field_list fields() {
    return {
      id_of("session_id", session_id, "for the record").session(),
      optional("auto_install", auto_install, "by the platform's package manager, never prompting"),
    };
  }
};

/// One thing that `codex-orchestrator install` writes.
struct bundle_part {
  std::string client;
  std::string scope;
  std::string what;
  std::string path;
  bool present = false;
  bool stale = false;
  std::optional<std::string> reason;

  field_list fields() {
    return {
      required("client", client, "codex or claude"),
      required("scope", scope, "user or repository"),
      required("what", what, "mcp, hooks or guide"),
      required("path", path),
      required("present", present),
      required("stale", stale, "not what this program would write now"),
      optional("reason", reason, "why it is stale"),
    };
  }
};

struct bundle_info {
  std::string program;
  std::string version;
  std::vector<bundle_part> parts;
  std::vector<std::string> guides;

  field_list fields() {
    return {
      required("program", program, "the path of this program"),
      required("version", version),
      required("parts", parts, "what is installed for agent CLIs, and where"),
      required("guides", guides, "names of the agent guides"),
    };
  }
};

struct runtime_bundle_info {
  static constexpr method about{
    "runtime.bundle.info",
    "Where agent guides, hooks and client configuration are installed, and whether "
    "they are out of date.",
    access::effect,
    /*may_wait=*/false,
    /*destructive=*/false,
    /*only_looks=*/true};
  using result = bundle_info;

  field_list fields() { return {}; }
};

struct runtime_methods {
  static constexpr std::string_view owner = "runtime";
  using list = method_list<runtime_tmux_ensure, runtime_bundle_info>;
};

} // namespace orch
