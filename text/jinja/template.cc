#include "text/jinja/template.h"

#include <utility>

#include "base/check.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"

namespace llmrun::jinja {

struct Template::Parsed {
  Block block;
};

Template::Template(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}

Result<Template> Template::Parse(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return MakeError(ErrorCode::kResource, "a template of {} bytes, at most {}", source.size(),
                     kMaxSourceBytes);
  }
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  auto parsed = std::make_shared<Parsed>();
  ASSIGN_OR_RETURN(parsed->block, Parser(std::move(tokens)).ParseTemplate());
  return Template(std::move(parsed));
}

Result<std::string> Template::Render(const Value& context, const RenderOptions& options) const {
  CHECK(context.dict() != nullptr);
  return Interpreter(options).Run(parsed_->block, *context.dict());
}

}  // namespace llmrun::jinja
