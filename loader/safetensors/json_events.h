// A JSON document as a row of events, so that what reads it sees duplicate keys, builds nothing it
// does not want, and decides itself how deep it goes. The parser does not recurse.
//
// Threads: no shared state. Failure: kBadData where the document is not JSON, else what the events
// return; the first failure ends the parse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmrun {

class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual Status OpenObject() = 0;
  virtual Status Key(std::string name) = 0;  // of the value that follows
  virtual Status CloseObject() = 0;
  virtual Status OpenArray() = 0;
  virtual Status CloseArray() = 0;
  virtual Status Text(std::string text) = 0;        // UTF-8
  virtual Status Number(uint64_t number) = 0;       // whole numbers from 0 to 2^64 - 1
  virtual Status Other(std::string_view what) = 0;  // "null", "a negative number", ...
};

// `label` names the file in messages, `first_byte` is where the document begins in it.
Status ParseJson(std::string_view json, const std::string& label, uint64_t first_byte,
                 JsonEvents& events);

}  // namespace llmrun
