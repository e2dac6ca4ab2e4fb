#include "loader/gguf/wrong_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace llmrun {
namespace {

using std::string_view_literals::operator""sv;

constexpr const char* kConvert = "convert it to GGUF, or download a GGUF of the model";
constexpr const char* kDownload = "download the file itself";

struct Signature {
  std::string_view head;  // lower case
  const char* what;
  const char* fix;
};
constexpr Signature kSignatures[] = {
    {"version https://git-lfs"sv, "a Git LFS pointer, not the model itself", "git lfs pull"},
    {"<!doctype"sv, "an HTML page, not a model", kDownload},
    {"<html"sv, "an HTML page, not a model", kDownload},
    {"<?xml"sv, "an XML document, not a model", kDownload},
    {"pk\x03\x04"sv, "a ZIP archive (a PyTorch checkpoint, perhaps)", kConvert},
    {"\x80\x02"sv, "a Python pickle (a PyTorch checkpoint, perhaps)", kConvert},
    {"tjgg"sv, "a GGML file of the time before GGUF", kConvert},
    {"fmgg"sv, "a GGML file of the time before GGUF", kConvert},
    {"lmgg"sv, "a GGML file of the time before GGUF", kConvert},
    {"\x1f\x8b"sv, "gzip-compressed", "gunzip it"},
    {"\x28\xb5\x2f\xfd"sv, "zstd-compressed", "unzstd it"},
    {"\xfd\x37zxz\0"sv, "xz-compressed", "unxz it"},
    {"\x7f\x65lf"sv, "an ELF program", ""},
    {"{"sv, "a JSON document, not a model", ""},
};

}  // namespace

// It begins with a u64 length of a JSON header that begins with '{'.
bool LooksLikeSafetensors(std::span<const std::byte> head) {
  uint64_t length = 0;
  if (head.size() <= sizeof length || head[sizeof length] != std::byte{'{'}) return false;
  std::memcpy(&length, head.data(), sizeof length);
  return length >= 2 && length <= 100'000'000;
}

WrongFormat RecognizeWrongFormat(std::span<const std::byte> head) {
  std::string text;
  for (const std::byte b : head.first(std::min(head.size(), kWrongFormatHeadBytes))) {
    const char c = static_cast<char>(b);
    text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (LooksLikeSafetensors(head)) return {"a safetensors file", kConvert};
  const std::string_view trimmed =
      std::string_view(text).substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  for (const Signature& s : kSignatures) {
    if (trimmed.starts_with(s.head)) return {s.what, s.fix};
  }
  if (!text.empty() && text.find_first_not_of('\0') == std::string::npos) {
    return {"zeros at its beginning (an unfinished download, perhaps)", kDownload};
  }
  std::string hex;
  for (const std::byte b : head.first(std::min<size_t>(head.size(), 4))) {
    hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", static_cast<unsigned>(b));
  }
  return {fmt::format("bytes {} at its beginning", hex), ""};
}

}  // namespace llmrun
