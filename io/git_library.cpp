#include "io/git_library.hpp"

#include "io/git_layout.hpp"
#include "io/git_program.hpp"

#include <dlfcn.h>
#include <git2.h>

#include <system_error>
#include <type_traits>
#include <utility>

namespace orch {

namespace {

/// The functions of libgit2 that are used here.
struct function_table {
  decltype(&::git_libgit2_init) libgit2_init;
  decltype(&::git_repository_open_ext) repository_open_ext;
  decltype(&::git_repository_free) repository_free;
  decltype(&::git_reference_lookup) reference_lookup;
  decltype(&::git_reference_free) reference_free;
  decltype(&::git_reference_symbolic_target) reference_symbolic_target;
  decltype(&::git_reference_name_to_id) reference_name_to_id;
  decltype(&::git_reference_dwim) reference_dwim;
  decltype(&::git_reference_peel) reference_peel;
  decltype(&::git_object_peel) object_peel;
  decltype(&::git_object_id) object_id;
  decltype(&::git_object_free) object_free;
  decltype(&::git_oid_fromstrn) oid_fromstrn;
  decltype(&::git_oid_tostr) oid_tostr;
  decltype(&::git_graph_ahead_behind) graph_ahead_behind;
  decltype(&::git_merge_base) merge_base;
  decltype(&::git_object_lookup) object_lookup;
  decltype(&::git_object_lookup_prefix) object_lookup_prefix;
  decltype(&::git_diff_options_init) diff_options_init;
  decltype(&::git_diff_tree_to_tree) diff_tree_to_tree;
  decltype(&::git_diff_num_deltas) diff_num_deltas;
  decltype(&::git_diff_get_delta) diff_get_delta;
  decltype(&::git_diff_free) diff_free;
};

bool fill(function_table& table, void* library) {
  auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    return function != nullptr;
  };
  return find(table.libgit2_init, "git_libgit2_init")
         && find(table.repository_open_ext, "git_repository_open_ext")
         && find(table.repository_free, "git_repository_free")
         && find(table.reference_lookup, "git_reference_lookup")
         && find(table.reference_free, "git_reference_free")
         && find(table.reference_symbolic_target, "git_reference_symbolic_target")
         && find(table.reference_name_to_id, "git_reference_name_to_id")
         && find(table.reference_dwim, "git_reference_dwim")
         && find(table.reference_peel, "git_reference_peel")
         && find(table.object_lookup_prefix, "git_object_lookup_prefix")
         && find(table.object_peel, "git_object_peel") && find(table.object_id, "git_object_id")
         && find(table.object_free, "git_object_free")
         && find(table.object_lookup, "git_object_lookup")
         && find(table.oid_fromstrn, "git_oid_fromstrn") && find(table.oid_tostr, "git_oid_tostr")
         && find(table.graph_ahead_behind, "git_graph_ahead_behind")
         && find(table.merge_base, "git_merge_base")
         && find(table.diff_options_init, "git_diff_options_init")
         && find(table.diff_tree_to_tree, "git_diff_tree_to_tree")
         && find(table.diff_num_deltas, "git_diff_num_deltas")
         && find(table.diff_get_delta, "git_diff_get_delta")
         && find(table.diff_free, "git_diff_free");
}

/// Loaded once and never unloaded; nothing if that fails.
std::optional<function_table> load() {
  auto library = dlopen("libgit2.so.1.5", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return std::nullopt;
  function_table table{};
  if (!fill(table, library) || table.libgit2_init() < 0) {
    dlclose(library);
    return std::nullopt;
  }
  return table;
}

const function_table& functions() {
  static const auto table = load();
  if (!table)
    throw beyond_library{};
  return *table;
}

template <class T>
using owned = std::unique_ptr<T, void (*)(T*)>;

/// True if the call found what it looked for.
bool found(int code) {
  if (code == GIT_ENOTFOUND)
    return false;
  if (code != 0)
    throw beyond_library{};
  return true;
}

void must(int code) {
  if (code != 0)
    throw beyond_library{};
}

std::string text_of(const git_oid& id) {
  std::string text(GIT_OID_HEXSZ + 1, '\0');
  functions().oid_tostr(text.data(), text.size(), &id);
  text.pop_back();
  return text;
}

git_oid id_of(const std::string& text) {
  git_oid id;
  if (text.size() != GIT_OID_HEXSZ || functions().oid_fromstrn(&id, text.data(), text.size()) != 0)
    throw beyond_library{};
  return id;
}

owned<git_repository> open_at(const std::filesystem::path& directory) {
  const auto& table = functions();
  git_repository* opened = nullptr;
  must(
    table.repository_open_ext(&opened, directory.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr));
  return {opened, table.repository_free};
}

std::optional<std::string> target_of(git_repository* repository, const std::string& ref) {
  const auto& table = functions();
  git_reference* looked_up = nullptr;
  if (!found(table.reference_lookup(&looked_up, repository, ref.c_str())))
    return std::nullopt;
  owned<git_reference> reference{looked_up, table.reference_free};
  auto target = table.reference_symbolic_target(reference.get());
  return target == nullptr ? std::nullopt : std::optional<std::string>{target};
}

std::optional<std::string> id_behind(git_repository* repository, const std::string& ref) {
  git_oid id;
  if (!found(functions().reference_name_to_id(&id, repository, ref.c_str())))
    return std::nullopt;
  return text_of(id);
}

owned<git_object> tree_of(git_repository* repository, const git_oid& commit) {
  const auto& table = functions();
  git_object* looked_up = nullptr;
  must(table.object_lookup(&looked_up, repository, &commit, GIT_OBJECT_COMMIT));
  owned<git_object> object{looked_up, table.object_free};
  git_object* tree = nullptr;
  must(table.object_peel(&tree, object.get(), GIT_OBJECT_TREE));
  return {tree, table.object_free};
}

owned<git_diff> difference(git_repository* repository, git_object* from, git_object* to) {
  const auto& table = functions();
  git_diff_options options;
  must(table.diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION));
  options.flags = GIT_DIFF_INCLUDE_TYPECHANGE;
  options.ignore_submodules = GIT_SUBMODULE_IGNORE_NONE;
  git_diff* made = nullptr;
  // A tree is an object by libgit2's own rules of casting.
  must(table.diff_tree_to_tree(&made, repository, reinterpret_cast<git_tree*>(from),
                               reinterpret_cast<git_tree*>(to), &options));
  return {made, table.diff_free};
}

constexpr std::size_t shortest_id = 4;

bool is_hexadecimal(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// Names beyond plain refs and ids ("v1~2", what `git describe` prints). Git knows more of them
/// than libgit2, and libgit2 1.5 leaks 20 KB for each regular expression that does not match.
bool is_expression(std::string_view ref) {
  return ref.find_first_of("@^~:{") != std::string_view::npos
         || ref.find("-g") != std::string_view::npos;
}

/// The object with this id, which may be shortened; nothing if there is none.
owned<git_object> object_of(git_repository* repository, std::string_view text) {
  const auto& table = functions();
  owned<git_object> object{nullptr, table.object_free};
  git_oid id;
  if (!is_hexadecimal(text) || text.size() < shortest_id || text.size() > GIT_OID_HEXSZ)
    return object;
  must(table.oid_fromstrn(&id, text.data(), text.size()));
  git_object* looked_up = nullptr;
  if (found(table.object_lookup_prefix(&looked_up, repository, &id, text.size(), GIT_OBJECT_ANY)))
    object.reset(looked_up);
  return object;
}

/// What a ref that git would find under this name leads to; nothing if there is none.
owned<git_object> referred_by(git_repository* repository, const std::string& name) {
  const auto& table = functions();
  owned<git_object> object{nullptr, table.object_free};
  git_reference* looked_up = nullptr;
  if (!found(table.reference_dwim(&looked_up, repository, name.c_str())))
    return object;
  owned<git_reference> reference{looked_up, table.reference_free};
  git_object* peeled = nullptr;
  must(table.reference_peel(&peeled, reference.get(), GIT_OBJECT_ANY));
  object.reset(peeled);
  return object;
}

} // namespace

struct git_library::parts {
  owned<git_repository> repository;
};

git_library::git_library(const repository_layout& layout)
  : parts_{std::make_unique<parts>(parts{open_at(layout.root)})} {
}

git_library::~git_library() = default;
git_library::git_library(git_library&&) noexcept = default;
git_library& git_library::operator=(git_library&&) noexcept = default;

git_head git_library::head(const std::filesystem::path& git_dir) const {
  constexpr std::string_view link = "ref: ";
  constexpr std::string_view heads = "refs/heads/";
  auto file = git_dir / "HEAD";
  // Reading it ourselves saves opening each work tree as a repository, which leaks as above.
  std::error_code unreadable;
  auto line = std::filesystem::is_symlink(file, unreadable) ? std::nullopt : first_line(file);
  if (!line)
    throw beyond_library{};
  if (!line->starts_with(link))
    return {"", text_of(id_of(*line))};
  auto ref = line->substr(link.size());
  if (!ref.starts_with(heads))
    throw beyond_library{};
  return {ref.substr(heads.size()), id_behind(parts_->repository.get(), ref)};
}

std::optional<std::string> git_library::commit_of(const std::string& ref) const {
  const auto& table = functions();
  if (is_expression(ref))
    throw beyond_library{};
  auto repository = parts_->repository.get();
  owned<git_object> object{nullptr, table.object_free};
  if (ref.size() != GIT_OID_HEXSZ || !is_hexadecimal(ref))
    object = referred_by(repository, ref);
  if (!object)
    object = object_of(repository, ref);
  if (!object)
    return std::nullopt;
  git_object* peeled = nullptr;
  must(table.object_peel(&peeled, object.get(), GIT_OBJECT_COMMIT));
  owned<git_object> commit{peeled, table.object_free};
  return text_of(*table.object_id(commit.get()));
}

bool git_library::ref_exists(const std::string& ref) const {
  return id_behind(parts_->repository.get(), ref).has_value();
}

std::optional<std::string> git_library::symbolic_target(const std::string& ref) const {
  return target_of(parts_->repository.get(), ref);
}

git_distance git_library::distance(const std::string& from_commit,
                                   const std::string& to_commit) const {
  auto from = id_of(from_commit);
  auto to = id_of(to_commit);
  std::size_t ahead = 0;
  std::size_t behind = 0;
  must(functions().graph_ahead_behind(&ahead, &behind, parts_->repository.get(), &to, &from));
  return {static_cast<int64_t>(ahead), static_cast<int64_t>(behind)};
}

std::optional<std::string> git_library::merge_base(const std::string& one,
                                                   const std::string& other) const {
  git_oid fork;
  auto first = id_of(one);
  auto second = id_of(other);
  if (!found(functions().merge_base(&fork, parts_->repository.get(), &first, &second)))
    return std::nullopt;
  return text_of(fork);
}

std::vector<std::string> git_library::changed_paths(const std::string& base_commit,
                                                    const std::string& commit) const {
  const auto& table = functions();
  auto repository = parts_->repository.get();
  auto base = id_of(base_commit);
  auto changed = id_of(commit);
  git_oid fork;
  auto related = found(table.merge_base(&fork, repository, &base, &changed));
  auto from = related ? tree_of(repository, fork) : owned<git_object>{nullptr, table.object_free};
  auto diff = difference(repository, from.get(), tree_of(repository, changed).get());
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < table.diff_num_deltas(diff.get()); ++i)
    paths.emplace_back(table.diff_get_delta(diff.get(), i)->new_file.path);
  return in_order(std::move(paths));
}

} // namespace orch
