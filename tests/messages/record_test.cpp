#include "member_count.hpp"
#include "messages/catalog.hpp"
#include "messages/locks.hpp"
#include "messages/merge_queue.hpp"
#include "messages/mirror.hpp"
#include "messages/plans.hpp"
#include "messages/sessions.hpp"
#include "messages/tasks.hpp"
#include "messages/workspace.hpp"
#include "messages/worktrees.hpp"

#include <catch2/catch.hpp>

using namespace orch;

namespace {

struct colour {
  std::string name = "none";
  std::optional<int64_t> shade;
  bool bright = false;
  std::vector<std::string> words;
  std::optional<raw_json> notes;
  timestamp seen;

  field_list fields() {
    return {
      required("name", name).one_of({"red", "none"}),
      optional("shade", shade, "how dark").range(1, 9),
      optional("bright", bright),
      optional("words", words).trimmed(),
      optional("notes", notes).object().also_called("notes_json"),
      optional("seen", seen),
    };
  }
};

colour decoded(std::string_view text) {
  return from_json<colour>(json::parse(text));
}

std::string refused_field(std::string_view text) {
  try {
    decoded(text);
  } catch (const request_error& e) {
    CHECK(e.code == errc::invalid_params);
    return e.data.at("field").get<std::string>();
  }
  return "accepted";
}

template <request... Ms>
void check_all_members_listed(method_list<Ms...>) {
  auto check = []<class T>(const T&, std::string_view method) {
    INFO(method);
    CHECK(shape_of<T>().fields.size() == member_count<T>());
  };
  (check(Ms{}, Ms::about.name), ...);
  (check(typename Ms::result{}, Ms::about.name), ...);
}

} // namespace

TEST_CASE("a record round-trips through JSON", "[record]") {
  auto text = R"({"name":"red","shade":3,"bright":true,"words":["a","b"],"notes":{"x":[1,null]},)"
              R"("seen":"2026-11-22T21:20:30.395906Z"})";
  CHECK(to_json_text(decoded(text)) == text);
}

TEST_CASE("a record leaves absent optional members out", "[record]") {
  CHECK(to_json_text(decoded(R"({"name":"red"})"))
        == R"({"name":"red","bright":false,"words":[],"seen":"1970-01-01T00:00:00.000000Z"})");
}

TEST_CASE("decoding names the field that is wrong", "[record]") {
  auto [text, field] = GENERATE(table<std::string, std::string>({
    {R"({})", "name"},
    {R"({"name":""})", "name"},
    {R"({"name":"blue"})", "name"},
    {R"({"name":7})", "name"},
    {R"({"name":null})", "name"},
    {R"({"name":"red","shade":0})", "shade"},
    {R"({"name":"red","shade":10})", "shade"},
    {R"({"name":"red","shade":1.5})", "shade"},
    {R"({"name":"red","shade":"1"})", "shade"},
    {R"({"name":"red","shade":99999999999999999999})", "shade"},
    {R"({"name":"red","bright":1})", "bright"},
    {R"({"name":"red","words":"a"})", "words"},
    {R"({"name":"red","words":["a",2]})", "words[1]"},
    {R"({"name":"red","words":[" "]})", "words[0]"},
    {R"({"name":"red","notes":[]})", "notes"},
    {R"({"name":"red","seen":"yesterday"})", "seen"},
    {R"({"name":"red","Bright":true})", "Bright"},
    {R"({"name":"red","notes":{},"notes_json":{}})", "notes_json"},
  }));
  INFO(text);
  CHECK(refused_field(text) == field);
}

TEST_CASE("decoding an unknown field names the nearest known one", "[record]") {
  CHECK_THROWS_WITH(decoded(R"({"name":"red","shades":1})"),
                    "unknown parameter shades; did you mean shade?");
}

TEST_CASE("decoding takes whole numbers written as fractions, nulls for absent, and aliases",
          "[record]") {
  auto x = decoded(R"({"name":"red","shade":3.0,"words":null,"notes_json":{"a":1}})");
  CHECK(x.shade == 3);
  CHECK(x.words.empty());
  CHECK(x.notes->text == R"({"a":1})");
}

TEST_CASE("the schema of a record says what decoding accepts", "[record]") {
  auto schema = schema_of(shape_of<colour>(), schema_use::parameters);
  CHECK(schema["required"] == json{"name"});
  CHECK(schema["additionalProperties"] == false);
  CHECK(schema["properties"]["shade"]
        == json{{"type", "integer"}, {"description", "how dark"}, {"minimum", 1}, {"maximum", 9}});
  CHECK(schema["properties"]["bright"]["default"] == false);
}

TEST_CASE("encoding escapes text and replaces what is not UTF-8", "[record]") {
  colour x;
  x.name = "a\"\\\n\x01\xff";
  x.name += '\0';
  CHECK(json::parse(to_json_text(x))["name"].get<std::string>()
        == std::string{"a\"\\\n\x01\xef\xbf\xbd\0", 9});
}

TEST_CASE("every record of a method lists every member it has", "[record]") {
  check_all_members_listed(workspace_methods::list{});
  check_all_members_listed(session_methods::list{});
  check_all_members_listed(task_methods::list{});
  check_all_members_listed(plan_methods::list{});
  check_all_members_listed(worktree_methods::list{});
  check_all_members_listed(lock_methods::list{});
  check_all_members_listed(merge_methods::list{});
  check_all_members_listed(mirror_methods::list{});
}
