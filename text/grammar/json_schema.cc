#include "text/grammar/json_schema.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "text/grammar/json_parts.h"
#include "text/grammar/schema_merge.h"
#include "text/grammar/schema_reference.h"
#include "text/grammar/schema_scalars.h"

namespace llmrun {

namespace {

// Names of properties that others are told apart from, one character at a time.
constexpr size_t kMaxNameBytes = 100;

// Brackets inside each other, outside of strings: before anything recurses.
int DepthOf(std::string_view json) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '{' || c == '[')) {
      deepest = std::max(deepest, ++depth);
    } else if (!in_string && (c == '}' || c == ']')) {
      --depth;
    }
  }
  return deepest;
}

class SchemaConverter {
 public:
  explicit SchemaConverter(const SchemaJson& document) : document_(document) {}

  Result<std::string> Convert() {
    ASSIGN_OR_RETURN(const std::string root, Visit(document_, 0));
    std::string out = "root ::= space " + root + " space\n";
    for (const auto& [name, body] : rules_) out += name + " ::= " + body + "\n";
    out += JsonRules();
    return out;
  }

 private:
  // An expression for the values that the schema accepts, in parentheses where it needs them.
  Result<std::string> Visit(const SchemaJson& schema, int depth) {
    if (depth > kMaxSchemaDepth || ++parts_ > kMaxSchemaParts) {
      return MakeError(ErrorCode::kResource,
                       "JSON schema: deeper than {} schemas, or more than {} in all",
                       kMaxSchemaDepth, kMaxSchemaParts);
    }
    if (schema.is_boolean()) {
      if (schema.get<bool>()) return std::string("value");
      return SchemaError("'false' accepts nothing");
    }
    if (!schema.is_object())
      return SchemaError("expected an object or a boolean, found {}", ShowSchema(schema));
    RETURN_IF_ERROR(CheckKeywords(schema));
    if (schema.contains("$ref")) return VisitReference(schema, depth);
    if (schema.contains("allOf")) return VisitAllOf(schema, depth);
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (schema.contains(keyword)) return VisitAnyOf(schema, keyword, depth);
    }
    if (schema.contains("const")) return GbnfLiteral(ShowSchema(schema["const"]));
    if (schema.contains("enum")) return VisitEnum(schema["enum"]);
    return VisitTypes(schema, depth);
  }

  static Status CheckKeywords(const SchemaJson& schema) {
    constexpr std::string_view kKnown[] = {"type",
                                           "enum",
                                           "const",
                                           "properties",
                                           "required",
                                           "additionalProperties",
                                           "items",
                                           "anyOf",
                                           "oneOf",
                                           "allOf",
                                           "prefixItems",
                                           "minItems",
                                           "maxItems",
                                           "$ref",
                                           "pattern",
                                           "minLength",
                                           "maxLength",
                                           "format",
                                           "minimum",
                                           "maximum",
                                           "exclusiveMinimum",
                                           "exclusiveMaximum"};
    for (const auto& [keyword, value] : schema.items()) {
      const bool known =
          std::find(std::begin(kKnown), std::end(kKnown), keyword) != std::end(kKnown);
      if (!known && !IsAnnotation(keyword)) {
        return SchemaError("the keyword '{}' is not understood", keyword);
      }
    }
    return {};
  }

  // Each schema that is referred to is one rule, so that it may contain itself.
  Result<std::string> VisitReference(const SchemaJson& schema, int depth) {
    ASSIGN_OR_RETURN(const SchemaJson* target, ResolveReference(document_, schema["$ref"]));
    SchemaJson others = schema;
    others.erase("$ref");
    for (const auto& [keyword, value] : schema.items()) {
      if (IsAnnotation(keyword)) others.erase(keyword);
    }
    if (!others.empty()) {
      if (!target->is_object()) return SchemaError("$ref beside '{}'", others.begin().key());
      RETURN_IF_ERROR(MergeSchema(*target, &others));
      return Visit(others, depth + 1);
    }
    const auto [entry, added] = references_.try_emplace(target, NewName());
    const std::string name = entry->second;
    if (added) {
      ASSIGN_OR_RETURN(std::string body, Visit(*target, depth + 1));
      rules_[name] = std::move(body);
    }
    return name;
  }

  Result<std::string> VisitAllOf(const SchemaJson& schema, int depth) {
    if (!schema["allOf"].is_array()) return SchemaError("allOf: expected a list");
    SchemaJson joined = schema;
    joined.erase("allOf");
    for (const SchemaJson& part : schema["allOf"]) {
      const SchemaJson* resolved = &part;
      for (int hops = 0; resolved->is_object() && resolved->contains("$ref"); ++hops) {
        if (hops > kMaxSchemaDepth) return SchemaError("$ref: goes round in a circle");
        if (resolved->size() != 1) return SchemaError("allOf: $ref beside other keywords");
        ASSIGN_OR_RETURN(resolved, ResolveReference(document_, (*resolved)["$ref"]));
      }
      if (!resolved->is_object()) return SchemaError("allOf: expected objects");
      RETURN_IF_ERROR(MergeSchema(*resolved, &joined));
    }
    return Visit(joined, depth + 1);
  }

  Result<std::string> VisitAnyOf(const SchemaJson& schema, const char* keyword, int depth) {
    const SchemaJson& choices = schema[keyword];
    if (!choices.is_array() || choices.empty()) return SchemaError("{}: expected a list", keyword);
    SchemaJson others = schema;
    others.erase(keyword);
    for (const auto& [name, value] : schema.items()) {
      if (IsAnnotation(name)) others.erase(name);
    }
    std::vector<std::string> bodies;
    for (const SchemaJson& choice : choices) {
      SchemaJson joined = choice;
      if (!others.empty()) {
        if (!choice.is_object()) return SchemaError("{}: expected objects", keyword);
        RETURN_IF_ERROR(MergeSchema(others, &joined));
      }
      ASSIGN_OR_RETURN(std::string body, Visit(joined, depth + 1));
      bodies.push_back(std::move(body));
    }
    return Choice(bodies);
  }

  static std::string Choice(const std::vector<std::string>& bodies) {
    if (bodies.size() == 1) return bodies[0];
    return fmt::format("({})", fmt::join(bodies, " | "));
  }

  Result<std::string> VisitEnum(const SchemaJson& values) {
    if (!values.is_array() || values.empty()) return SchemaError("enum: expected a list");
    std::vector<std::string> bodies;
    for (const SchemaJson& value : values) bodies.push_back(GbnfLiteral(ShowSchema(value)));
    return Choice(bodies);
  }

  Result<std::string> VisitTypes(const SchemaJson& schema, int depth) {
    if (!schema.contains("type")) return VisitType(ImpliedType(schema), schema, depth);
    const SchemaJson& types = schema["type"];
    if (!types.is_array()) return VisitType(ShowSchema(types), schema, depth);
    if (types.empty()) return SchemaError("type: expected a name or a list of names");
    std::vector<std::string> bodies;
    for (const SchemaJson& type : types) {
      ASSIGN_OR_RETURN(std::string body, VisitType(ShowSchema(type), schema, depth));
      bodies.push_back(std::move(body));
    }
    return Choice(bodies);
  }

  // Of a schema that names no type: that which its keywords are about. As JSON, quotes included.
  static std::string ImpliedType(const SchemaJson& schema) {
    constexpr std::pair<const char*, const char*> kImplied[] = {
        {"properties", "\"object\""},
        {"required", "\"object\""},
        {"additionalProperties", "\"object\""},
        {"items", "\"array\""},
        {"prefixItems", "\"array\""},
        {"minItems", "\"array\""},
        {"maxItems", "\"array\""},
        {"pattern", "\"string\""},
        {"minLength", "\"string\""},
        {"maxLength", "\"string\""},
        {"format", "\"string\""},
        {"minimum", "\"number\""},
        {"maximum", "\"number\""},
        {"exclusiveMinimum", "\"number\""},
        {"exclusiveMaximum", "\"number\""}};
    for (const auto& [keyword, type] : kImplied) {
      if (schema.contains(keyword)) return type;
    }
    return "";
  }

  Result<std::string> VisitType(const std::string& type, const SchemaJson& schema, int depth) {
    if (type.empty()) return std::string("value");
    if (type == "\"null\"") return std::string("null");
    if (type == "\"boolean\"") return std::string("boolean");
    if (type == "\"string\"") return SchemaString(schema);
    if (type == "\"integer\"") return SchemaInteger(schema);
    if (type == "\"number\"") return SchemaNumber(schema);
    if (type == "\"array\"") return VisitArray(schema, depth);
    if (type == "\"object\"") return VisitObject(schema, depth);
    return SchemaError("type: {} is none", type);
  }

  Result<std::string> VisitArray(const SchemaJson& schema, int depth) {
    ASSIGN_OR_RETURN(const SchemaCounts counts, GetSchemaCounts(schema, "minItems", "maxItems"));
    std::vector<std::string> first;
    if (schema.contains("prefixItems")) {
      if (!schema["prefixItems"].is_array()) return SchemaError("prefixItems: expected a list");
      for (const SchemaJson& item : schema["prefixItems"]) {
        ASSIGN_OR_RETURN(std::string body, Visit(item, depth + 1));
        first.push_back(std::move(body));
      }
    }
    std::string rest = "value";
    const bool closed = schema.contains("items") && schema["items"] == false;
    if (schema.contains("items") && !closed) {
      ASSIGN_OR_RETURN(rest, Visit(schema["items"], depth + 1));
    }
    // What stands in the list from the item `index` on, without the comma before it.
    std::string body = closed ? "" : RestOfArray(rest, first.size(), counts);
    if (closed && counts.least > first.size())
      return SchemaError("minItems: more than there can be");
    for (size_t i = first.size(); i-- > 0;) {
      if (counts.most && i >= *counts.most) continue;
      const bool last = body.empty();
      const std::string item = first[i] + " space" + (last ? "" : " " + body);
      body = i == 0 ? item : fmt::format("\",\" space {}", item);
      if (i >= counts.least) body = fmt::format("({})?", body);
      body = NewRule(body);
    }
    return fmt::format(R"("[" space {} "]")", body);
  }

  // Behind `before` items; nothing where no more may come.
  static std::string RestOfArray(const std::string& rest, size_t before,
                                 const SchemaCounts& counts) {
    if (counts.most && *counts.most <= before) return "";
    uint64_t least = counts.least > before ? counts.least - before : 0;
    std::optional<uint64_t> most;
    if (counts.most) most = *counts.most - before;
    const std::string more = fmt::format("(\",\" space {} space)", rest);
    if (before > 0) return more + GbnfRepeat(least, most);
    // The first item has no comma before it.
    const bool optional = least == 0;
    least = least == 0 ? 0 : least - 1;
    if (most) most = *most - 1;
    const std::string all = fmt::format("{} space {}{}", rest, more, GbnfRepeat(least, most));
    return optional ? fmt::format("({})?", all) : all;
  }

  struct Property {
    std::string pair;  // name, colon, value
    bool required = false;
  };

  Result<std::string> VisitObject(const SchemaJson& schema, int depth) {
    const SchemaJson none = SchemaJson::object();
    const SchemaJson& properties = schema.contains("properties") ? schema["properties"] : none;
    if (!properties.is_object()) return SchemaError("properties: expected an object");
    std::vector<std::string> required;
    if (schema.contains("required")) {
      for (const SchemaJson& name : schema["required"]) {
        if (!name.is_string()) return SchemaError("required: expected a list of names");
        required.push_back(name.get<std::string>());
      }
    }
    std::vector<Property> list;
    std::vector<std::string> names;
    for (const auto& [name, value] : properties.items()) {
      ASSIGN_OR_RETURN(const std::string body, Visit(value, depth + 1));
      const std::string quoted = ShowSchema(SchemaJson(name));
      const bool needed = std::erase(required, name) > 0;
      list.push_back(
          {fmt::format("{} space \":\" space {} space", GbnfLiteral(quoted), body), needed});
      names.push_back(quoted.substr(1, quoted.size() - 2));
    }
    ASSIGN_OR_RETURN(const std::string others, OtherProperties(schema, names, depth));
    for (const std::string& name : required) {  // that are not described
      if (others.empty()) return SchemaError("required: '{}' is no property", name);
      list.push_back({fmt::format("{} space \":\" space value space",
                                  GbnfLiteral(ShowSchema(SchemaJson(name)))),
                      true});
    }
    return ObjectOf(list, others);
  }

  // One further property; empty where there may be none.
  Result<std::string> OtherProperties(const SchemaJson& schema, std::vector<std::string> names,
                                      int depth) {
    // Who describes properties means these; who describes none, any.
    SchemaJson others = !schema.contains("properties");
    if (schema.contains("additionalProperties")) others = schema["additionalProperties"];
    if (others == false) return std::string();
    ASSIGN_OR_RETURN(const std::string body, Visit(others, depth + 1));
    for (const std::string& name : names) {
      if (name.size() > kMaxNameBytes) {
        return SchemaError(
            "additionalProperties: beside a property whose name has more than {} bytes",
            kMaxNameBytes);
      }
    }
    std::sort(names.begin(), names.end());
    return fmt::format("{} space \":\" space {} space", OtherNames(names), body);
  }

  // The properties in their order. Two rules for each place in it: with a comma to be written
  // before the next one, and without, as nothing came yet.
  std::string ObjectOf(const std::vector<Property>& list, const std::string& others) {
    std::string before_any;
    std::string behind_one;
    if (!others.empty()) {
      const std::string other = NewRule(others);
      behind_one = NewRule(fmt::format("(\",\" space {})*", other));
      before_any = NewRule(fmt::format("({} {})?", other, behind_one));
    }
    for (size_t i = list.size(); i-- > 0;) {
      const std::string pair = NewRule(list[i].pair);
      const std::string taken = pair + " " + behind_one;
      const std::string comma = fmt::format("\",\" space {}", pair);
      if (list[i].required) {
        before_any = NewRule(taken);
        behind_one = NewRule(comma + " " + behind_one);
      } else {
        before_any = NewRule(fmt::format("{} | {}", taken, before_any));
        behind_one = NewRule(fmt::format("({})? {}", comma, behind_one));
      }
    }
    return fmt::format(R"("{{" space {} "}}")", before_any);
  }

  std::string NewName() { return fmt::format("r{}", next_name_++); }
  std::string NewRule(std::string body) {
    std::string name = NewName();
    rules_[name] = std::move(body);
    return name;
  }

  const SchemaJson& document_;
  std::map<std::string, std::string> rules_;
  std::map<const SchemaJson*, std::string> references_;
  int parts_ = 0;
  int next_name_ = 0;
};

}  // namespace

Result<std::string> JsonSchemaToGbnf(std::string_view json) {
  if (DepthOf(json) > 2 * kMaxSchemaDepth) {
    return MakeError(ErrorCode::kResource, "JSON schema: more than {} brackets inside each other",
                     2 * kMaxSchemaDepth);
  }
  const SchemaJson document = SchemaJson::parse(json.begin(), json.end(), nullptr, false);
  if (document.is_discarded()) {
    return MakeError(ErrorCode::kUsage, "JSON schema: the text is no JSON");
  }
  return SchemaConverter(document).Convert();
}

}  // namespace llmrun
