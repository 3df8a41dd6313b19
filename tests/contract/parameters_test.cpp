// Walks the method table that the program prints, so that no method and no parameter is forgotten.

#include "client.hpp"

#include <fmt/format.h>

using namespace orch::test;

namespace {

/// A request that has to be refused because of one parameter.
struct refusal {
  std::string method;
  json params;
  std::string field;
};

const json& properties_of(const json& schema) {
  static const json none = json::object();
  auto found = schema.find("properties");
  return found == schema.end() ? none : *found;
}

words required_of(const json& schema) {
  return schema.value("required", words{});
}

/// A value that the schema accepts.
json plausible(const json& schema) {
  if (schema.contains("enum"))
    return schema["enum"][0];
  auto type = schema.value("type", "");
  if (type == "integer")
    return std::max<int64_t>(1, schema.value("minimum", int64_t{1}));
  if (type == "boolean")
    return false;
  if (type == "array")
    return json::array({plausible(schema.value("items", json::object()))});
  if (type != "object")
    return "1";
  auto object = json::object();
  for (const auto& name : required_of(schema))
    object[name] = plausible(properties_of(schema).at(name));
  return object;
}

/// Values whose type the schema forbids.
std::vector<json> wrongly_typed(const json& schema) {
  auto type = schema.value("type", "");
  if (type == "integer")
    return {"1", 1.5, true, json::array(), json::object(), "", json::array({1})};
  if (type == "boolean")
    return {"true", 0, 1, json::array(), json::object()};
  if (type == "string")
    return {1, 1.5, false, json::array(), json::object(), json::array({"x"})};
  if (type == "array")
    return {"x", 1, true, json::object()};
  if (type == "object")
    return {"x", 1, true, json::array()};
  return {};
}

/// Values of the right type that the schema forbids all the same.
std::vector<json> out_of_range(const json& schema) {
  std::vector<json> values;
  if (schema.contains("enum"))
    for (const char* word : {"no_such_word", "", " ", "NULL"})
      values.emplace_back(word);
  if (schema.contains("enum"))
    values.emplace_back(schema["enum"][0].get<std::string>() + " x");
  if (schema.value("type", "") != "integer")
    return values;
  if (schema.contains("minimum"))
    values.emplace_back(schema["minimum"].get<int64_t>() - 1);
  if (schema.contains("maximum"))
    values.emplace_back(schema["maximum"].get<int64_t>() + 1);
  values.emplace_back(UINT64_MAX);
  values.emplace_back(1e300);
  return values;
}

struct parameters : contract {
  /// Applies `vary` to each parameter of each method: (schema of the parameter, is it required).
  template <class Vary>
  void refuse_each(Vary vary) {
    std::vector<refusal> all;
    for (const auto& method : method_table()) {
      const auto base = plausible(method["params"]);
      const auto required = required_of(method["params"]);
      for (const auto& [name, schema] : properties_of(method["params"]).items())
        for (const json& params :
             vary(base, name, schema, std::count(required.begin(), required.end(), name) > 0))
          all.push_back({method["name"], params, name});
    }
    refuse(all);
  }

  /// Each gets exactly one answer, in order, that names the field; nothing is changed by them.
  void refuse(const std::vector<refusal>& all) {
    REQUIRE(all.size() > 10);
    auto before = first.db_version();
    for (const auto& one : all) {
      auto id = first.request(one.method, one.params);
      auto answer = first.next();
      INFO(one.method << ' ' << one.params << ": " << answer);
      REQUIRE(answer["id"] == id);
      REQUIRE(answer.contains("error"));
      CHECK(answer["error"]["code"] == "invalid_params");
      CHECK(field_of(answer).starts_with(one.field));
      CHECK_FALSE(answer["error"]["message"].get<std::string>().empty());
    }
    CHECK(first.db_version() == before);
  }

  static std::string field_of(const json& answer) {
    return answer["error"].value("data", json::object()).value("field", "");
  }

  static std::vector<json> with_each(const json& base, const std::string& name,
                                     const std::vector<json>& values) {
    std::vector<json> all;
    for (const auto& value : values) {
      all.push_back(base);
      all.back()[name] = value;
    }
    return all;
  }
};

} // namespace

TEST_CASE_METHOD(parameters, "each method refuses a missing parameter", "[parameters]") {
  refuse_each([](json base, const std::string& name, const json&, bool required) {
    std::vector<json> all;
    if (!required)
      return all;
    base[name] = nullptr;
    all.push_back(base);
    base.erase(name);
    all.push_back(base);
    return all;
  });
}

TEST_CASE_METHOD(parameters, "each method refuses a parameter of the wrong type", "[parameters]") {
  refuse_each([](const json& base, const std::string& name, const json& schema, bool) {
    return with_each(base, name, wrongly_typed(schema));
  });
}

TEST_CASE_METHOD(parameters, "each method refuses a parameter out of its range", "[parameters]") {
  refuse_each([](const json& base, const std::string& name, const json& schema, bool) {
    return with_each(base, name, out_of_range(schema));
  });
}

TEST_CASE_METHOD(parameters, "each method refuses an id that is not positive", "[parameters]") {
  refuse_each([](const json& base, const std::string& name, const json& schema, bool) {
    if (!name.ends_with("_id") || schema["type"] != "integer")
      return std::vector<json>{};
    return with_each(base, name, {0, -1, INT64_MIN});
  });
}

TEST_CASE_METHOD(parameters, "each method refuses an empty required text", "[parameters]") {
  refuse_each([](const json& base, const std::string& name, const json& schema, bool required) {
    if (!required || schema.value("type", "") != "string")
      return std::vector<json>{};
    return with_each(base, name, {"", "  ", "\t\n"});
  });
}

TEST_CASE_METHOD(parameters, "each method refuses a wrong element of a list", "[parameters]") {
  refuse_each([](const json& base, const std::string& name, const json& schema, bool) {
    std::vector<json> lists;
    for (const auto& value : wrongly_typed(schema.value("items", json::object())))
      lists.push_back(json::array({value}));
    return with_each(base, name, lists);
  });
}

TEST_CASE_METHOD(parameters, "each method refuses a wrong member of a list element",
                 "[parameters]") {
  refuse_each([](const json& base, const std::string& name, const json& schema, bool) {
    auto item = schema.value("items", json::object());
    std::vector<json> lists;
    for (const auto& [member, inner] : properties_of(item).items())
      for (const auto& value : wrongly_typed(inner)) {
        auto element = plausible(item);
        element[member] = value;
        lists.push_back(json::array({plausible(item), element}));
      }
    for (const auto& member : required_of(item)) {
      auto element = plausible(item);
      element.erase(member);
      lists.push_back(json::array({element}));
    }
    if (!lists.empty()) {
      auto element = plausible(item);
      element["no_such_member"] = 1;
      lists.push_back(json::array({element}));
    }
    return with_each(base, name, lists);
  });
}

TEST_CASE_METHOD(parameters, "each method refuses an unknown parameter", "[parameters]") {
  std::vector<refusal> all;
  for (const auto& method : method_table())
    for (const json& value : {json("x"), json(1), json()})
      for (const char* name : {"no_such_parameter", "", "params", "__proto__"}) {
        all.push_back({method["name"], plausible(method["params"]), name});
        all.back().params[name] = value;
      }
  refuse(all);
}

TEST_CASE_METHOD(parameters, "each method names the parameter that an unknown one was meant to be",
                 "[parameters]") {
  for (const auto& method : method_table())
    for (const auto& [name, schema] : properties_of(method["params"]).items()) {
      auto params = plausible(method["params"]);
      params[name + "s"] = plausible(schema);
      auto error = error_of(method["name"], params);
      INFO(method["name"] << ' ' << params << error);
      CHECK(error["data"]["field"] == name + "s");
      CHECK_THAT(error["message"].get<std::string>(), Catch::Contains(name));
    }
}

TEST_CASE_METHOD(parameters, "each method tells parameters apart by case", "[parameters]") {
  std::vector<refusal> all;
  for (const auto& method : method_table())
    for (const auto& [name, schema] : properties_of(method["params"]).items()) {
      auto params = plausible(method["params"]);
      auto upper = name;
      upper[0] = static_cast<char>(upper[0] - 'a' + 'A');
      params[upper] = plausible(schema);
      all.push_back({method["name"], params, upper});
    }
  refuse(all);
}

TEST_CASE_METHOD(parameters, "each tool answers a wrong value with a result that is an error",
                 "[parameters][mcp]") {
  for (const auto& method : method_table())
    for (const auto& [name, schema] : properties_of(method["params"]).items())
      for (const auto& value : wrongly_typed(schema)) {
        auto params = plausible(method["params"]);
        params[name] = value;
        auto result = first.tool(method["name"], params);
        INFO(method["name"] << ' ' << params << result);
        CHECK(result["isError"] == true);
        CHECK(result["structuredContent"]["error"]["code"] == "invalid_params");
        CHECK(field_of(result["structuredContent"]).starts_with(name));
      }
}

TEST_CASE_METHOD(parameters, "each method answers ids of nothing with not_found", "[parameters]") {
  // Reads of nothing give empty lists; these name a thing and so have to find it.
  for (const auto& method : method_table()) {
    auto params = plausible(method["params"]);
    bool names_a_thing = false;
    for (auto& [name, value] : params.items())
      if (value.is_number_integer() && name.ends_with("_id")) {
        value = 4'000'000'000'000;
        names_a_thing = true;
      }
    if (!names_a_thing)
      continue;
    INFO(method["name"] << ' ' << params);
    CHECK(code_of(method["name"], params) == "not_found");
  }
}

TEST_CASE_METHOD(parameters, "each list takes a limit and gives a cursor for the rest",
                 "[parameters]") {
  for (int i = 0; i < 3; ++i) {
    open_session();
    make_case();
    make_node();
    ask("lock.acquire",
        {{"scope_type", "file"}, {"scope_path", fmt::format("f{}", i)}, {"owner_session", "1"}});
  }
  for (const char* method :
       {"session.list", "task.list", "graph.node.list", "worktree.list", "lock.list"}) {
    INFO(method);
    std::vector<json> ids;
    json params{{"limit", 1}};
    for (int page = 0; page < 20; ++page) {
      auto result = ask(method, params);
      for (const auto& [key, rows] : result.items())
        if (rows.is_array()) {
          REQUIRE(rows.size() <= 1);
          for (const auto& row : rows)
            ids.push_back(row.contains("session") ? row["session"]["id"] : row["id"]);
        }
      if (!result.contains("next_cursor"))
        break;
      params["cursor"] = result["next_cursor"];
    }
    CHECK(ids.size() >= 3);
    std::sort(ids.begin(), ids.end());
    CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
    CHECK(error_of(method, {{"cursor", "no such cursor"}})["data"]["field"] == "cursor");
  }
}
