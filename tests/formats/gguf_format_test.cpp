#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "adascale/formats/gguf/architecture.h"
#include "adascale/formats/gguf/blocks.h"
#include "adascale/formats/gguf/pre_tokenizer.h"
#include "adascale/formats/gguf/types.h"
#include "adascale/quant/forms/form.h"
#include "error_text.h"

// tests/python/test_gguf.py compares the file's content with gguf's own reader.
namespace adascale::testing {
namespace {

using nlohmann::json;

json split(const std::string& pattern) {
  const json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const json step = {
      {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {step, bytes}}}}};
}

TEST(GgufPreTokenizer, IsKnownByWhatItDoes) {
  const json words = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const json digits = {{"type", "Digits"}, {"individual_digits", true}};
  EXPECT_EQ(gguf_pre_tokenizer("f", {{"pre_tokenizer", words}}), "gpt-2");
  EXPECT_EQ(gguf_pre_tokenizer(
                "f", {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {digits, words}}}}}),
            "smollm");
  // From the tokenizer.json of Llama 3 and of Qwen 2.
  json llama3 =
      split(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
            R"(\s*[\r\n]+|\s+(?!\S)|\s+)");
  EXPECT_EQ(error_of([&] { gguf_pre_tokenizer("f", llama3); }),
            "f: has ignore_merges false, and what llama.cpp calls llama-bpe implies true; "
            "quantize a .gguf that llama.cpp made of the folder");
  llama3["model"]["ignore_merges"] = true;
  EXPECT_EQ(gguf_pre_tokenizer("f", llama3), "llama-bpe");
  EXPECT_EQ(gguf_pre_tokenizer("f", split(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| )"
                                          R"(?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")),
            "qwen2");
  EXPECT_EQ(error_of([] { gguf_pre_tokenizer("f", split("\\s+")); }),
            "f: splits text in a way that has no name here (split \\s+; bytes); "
            "quantize a .gguf that llama.cpp made of the folder");
}

TEST(GgufArchitecture, NamesAreLlamaCpps) {
  EXPECT_EQ(gguf_tensor_name("model.layers.12.mlp.up_proj.weight"), "blk.12.ffn_up.weight");
  EXPECT_EQ(gguf_tensor_name("model.layers.0.self_attn.q_proj.bias"), "blk.0.attn_q.bias");
  EXPECT_EQ(gguf_tensor_name("model.embed_tokens.weight"), "token_embd.weight");
  EXPECT_EQ(gguf_tensor_name("lm_head.weight"), "output.weight");
  for (const char* name : {"", "weight", "model.layers..mlp.up_proj.weight", "model.layers.1.mlp.weight",
                           "model.layers.x1.mlp.up_proj.weight", "model.norm.scale", "model.layers.1"})
    EXPECT_EQ(gguf_tensor_name(name), "") << name;
}

TEST(GgufArchitecture, RowsOfAHeadGoInPairs) {
  EXPECT_TRUE(at::equal(moved_rows(8, 2), at::tensor({0, 2, 1, 3, 4, 6, 5, 7}, at::kLong)));
}

TEST(GgufTypes, EachIsFoundByItsGrid) {
  for (const GgufGrid& type : gguf_grids()) {
    EXPECT_EQ(gguf_type_of(grid_of(type)), &type) << type.name;
    EXPECT_EQ(ggml_type_of(type).block, type.has_superblocks() ? 256 : 32) << type.name;
    if (type.fallback != nullptr) {
      EXPECT_TRUE(gguf_grid_named(type.fallback)->fits_rows_of(32)) << type.name;
    }
  }
  EXPECT_EQ(gguf_type_of(Grid{.bits = 4, .channel_axis = 0, .group_axis = 1, .group_size = 32}), nullptr);
  Grid repeated = grid_of(*gguf_grid_named("Q4_0"));
  repeated.group_size = 64;
  EXPECT_STREQ(gguf_type_of(repeated)->name, "Q4_0");
}

/// A weight on the type's grid by its largest and smallest elements.
Encoding encoding_on(const Grid& grid) {
  const at::Tensor w = at::randn({3, 512}), split = split_groups(w, grid);
  const std::vector<int64_t> shared = shared_axes(grid, split);
  Range range{split.amin(shared, true).clamp_max(0), split.amax(shared, true).clamp_min(0)};
  if (grid.symmetric) {
    const at::Tensor scale = grid.form->symmetric_scale(range.min, range.max, grid);
    range = {scale * grid.qmin(), scale * grid.qmax()};
  }
  return encode_rtn("w", w, grid, range);
}

TEST(GgufBlocks, GiveBackTheWeight) {
  at::manual_seed(3);
  for (const GgufGrid& type : gguf_grids()) {
    const Encoding encoding = encoding_on(grid_of(type));
    EXPECT_TRUE(at::equal(unpack_gguf(pack_gguf(encoding, type), type), dequantize(encoding))) << type.name;
  }
}

}  // namespace
}  // namespace adascale::testing
