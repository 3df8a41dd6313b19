#include "actors/mirror.hpp"

#include "actors/owner.hpp"
#include "io/files.hpp"
#include "io/turnstile.hpp"
#include "storage/mirror.hpp"

namespace orch {

namespace fs = std::filesystem;

namespace {

/// Where the mirror goes. Somebody who may choose the path must not be able to overwrite anything
/// with it, so it is a Markdown file inside the repository, reached without leaving it by a
/// symlink, and an existing one must be an earlier mirror.
fs::path mirror_path(const surroundings& around, const std::optional<std::string>& wanted) {
  if (!wanted)
    return around.state_dir / "mirror" / "status.md";
  if (wanted->find('\0') != std::string::npos)
    throw bad_param("target_path", "target_path must not contain NUL");
  auto path = fs::weakly_canonical(around.repo_root / *wanted);
  auto inside = path.lexically_relative(around.repo_root);
  auto in_git = std::find(inside.begin(), inside.end(), ".git") != inside.end();
  if (inside.empty() || *inside.begin() == ".." || in_git)
    throw bad_param("target_path",
                    "target_path must lie inside the repository " + around.repo_root.string());
  if (path.extension() != ".md")
    throw bad_param("target_path", "target_path must end in .md");
  if (fs::exists(path) && !is_mirror(path))
    throw bad_param("target_path",
                    "target_path exists and is no mirror of ours; it is not overwritten");
  return path;
}

refreshed_mirror refresh(effects& fx, const mirror_refresh& request) {
  if (request.requester_role != "doc-mirror-manager")
    throw request_error{errc::permission_denied,
                        "only the role doc-mirror-manager refreshes the mirror",
                        {{"field", "requester_role"}}};
  auto path = mirror_path(fx.around, request.target_path);
  // One refresh at a time in all processes, so that file and recorded version belong together.
  turnstile one_at_a_time{fx.around.state_dir / "mirror.lock"};
  one_at_a_time.enter();
  auto before = fx.store([](tx& t) { return get_mirror_state(t, {}); });
  refreshed_mirror result{before.outdated || before.md_path != path.string(), before,
                          path.string()};
  if (result.outdated_before_refresh) {
    auto rendered = fx.store([](tx& t) { return render_mirror(t); });
    replace_file(path, rendered.markdown);
    result.mirror_status = fx.store([version = rendered.db_version, path](tx& t) {
      return note_mirror(t, version, path.string());
    });
  }
  one_at_a_time.leave();
  return result;
}

} // namespace

void refresh_mirror_file(effects& fx) {
  mirror_refresh request;
  request.requester_role = "doc-mirror-manager";
  auto last = fx.look([](tx& t) { return get_mirror_state(t, {}).md_path; });
  if (last)
    request.target_path = *last;
  refresh(fx, request);
}

mirror_actor::behavior_type mirror(mirror_actor::pointer self, tree parts) {
  return {
    stored<mirror_status>(self, parts, get_mirror_state),
    effect<mirror_refresh>(self, parts, refresh),
    [=](mirror_text) -> caf::result<std::string> {
      auto promise = self->make_response_promise<std::string>();
      return promise.delegate(
        parts.storage,
        transaction{[](tx& t) { return caf::make_message(render_mirror(t).markdown); }, false});
    },
  };
}

route_map routes(const mirror_actor& owner) {
  return routes_to(owner, mirror_methods::list{});
}

} // namespace orch
