// gguf_corpus DIR: writes the seed files of gguf_fuzz: small files that use every part of the
// format, so that the fuzzer begins behind the first checks.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

GgufBytes EveryScalarType(uint32_t version) {
  GgufBytes b;
  b.Header(0, 12, version);
  b.Key("u8", MetaType::kUint8).Value<uint8_t>(8);
  b.Key("i8", MetaType::kInt8).Value<int8_t>(-8);
  b.Key("u16", MetaType::kUint16).Value<uint16_t>(16);
  b.Key("i16", MetaType::kInt16).Value<int16_t>(-16);
  b.Key("llama.block_count", MetaType::kUint32).Value<uint32_t>(32);
  b.Key("split.count", MetaType::kInt32).Value<int32_t>(0);
  b.Key("llama.rope.freq_base", MetaType::kFloat32).Value(10000.0F);
  b.Key("tokenizer.ggml.add_bos_token", MetaType::kBool).Value<uint8_t>(1);
  b.Key("general.architecture", MetaType::kString).Text("llama");
  b.Key("general.alignment", MetaType::kUint64).Value<uint64_t>(64);
  b.Key("i64", MetaType::kInt64).Value<int64_t>(-64);
  b.Key("f64", MetaType::kFloat64).Value(6.4);
  return b;
}

GgufBytes EveryArrayType() {
  constexpr uint32_t kTypes[] = {0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12};
  constexpr size_t kWidths[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 8, 8};
  GgufBytes b;
  b.Header(0, std::size(kTypes) + 1);
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    b.Key(fmt::format("a{}", i), MetaType::kArray).ArrayHead(static_cast<MetaType>(kTypes[i]), 2);
    b.Zeros(2 * kWidths[i]);
  }
  b.Key("tokenizer.ggml.tokens", MetaType::kArray).ArrayHead(MetaType::kString, 3);
  return b.Text("").Text("a").Text("<0x00>");
}

// One row of 256 elements of a type, in a file of its own.
GgufBytes OneTensor(const BlockTraits& traits) {
  GgufBytes b;
  b.Header(1, 0).Tensor("t", {256}, traits.type, 0).PadTo(32);
  return b.Zeros(TensorBytes(traits.type, {256, 1, 1, 1}).value());
}

GgufBytes FewTensors() {
  GgufBytes b;
  b.Header(4, 1);
  b.Key("general.alignment", MetaType::kUint32).U32(8);
  b.Tensor("token_embd.weight", {4, 2}, DType::kF32, 0);
  b.Tensor("blk.0.attn_q.weight", {2, 2, 2, 2}, DType::kF16, 40);
  b.Tensor("blk.1.ffn_up.weight", {32, 2}, DType::kQ4_0, 72);
  b.Tensor("output.weight", {8}, DType::kI8, 32);
  return b.PadTo(8).Zeros(108);
}

bool WriteSeeds(const std::filesystem::path& folder) {
  bool ok = true;
  const auto write = [&](const std::string& name, std::span<const std::byte> bytes) {
    ok = ok && WriteFile((folder / name).string(), bytes);
  };
  write("scalars_v2", EveryScalarType(2).bytes());
  write("scalars_v3", EveryScalarType(3).bytes());
  write("arrays", EveryArrayType().bytes());
  write("tensors", FewTensors().bytes());
  for (const BlockTraits& traits : AllBlockTraits()) {
    if (FindBlockTraits(static_cast<uint32_t>(traits.type)) == nullptr) continue;  // not of GGUF
    write(fmt::format("type_{}", traits.name), OneTensor(traits).bytes());
  }
  TinyLlamaSpec spec;
  spec.d_model = 32;
  spec.n_layers = 1;
  spec.n_heads = 2;
  spec.n_kv_heads = 1;
  spec.d_ff = 32;
  spec.n_vocab = 259;
  spec.dtype = DType::kQ8_0;
  spec.tied = true;
  const std::vector<std::byte> model = BuildTinyLlama(spec);
  write("tiny_llama", model);
  // Its header only: every mutation stays where the parser looks.
  write("tiny_llama_header", std::span(model).first(ParseBytes(model).value().data_offset));
  return ok;
}

}  // namespace
}  // namespace llmrun

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: gguf_corpus DIR\n");
    return 64;
  }
  std::error_code error;
  std::filesystem::create_directories(argv[1], error);
  if (error || !llmrun::WriteSeeds(argv[1])) {
    fmt::print(stderr, "gguf_corpus: cannot write to {}\n", argv[1]);
    return 71;
  }
  return 0;
}
