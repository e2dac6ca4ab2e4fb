// Names of CLI11, for headers that only mention them: its own header costs seconds to compile.
#pragma once

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI
