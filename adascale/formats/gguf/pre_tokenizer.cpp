#include "adascale/formats/gguf/pre_tokenizer.h"

#include <fmt/ranges.h>

#include <vector>

#include "adascale/core/error.h"

// llama.cpp knows splitters by name and has the patterns in its own source (llama-vocab.cpp).
namespace adascale {
namespace {

using nlohmann::json;

struct Splitter {
  const char* name;
  std::vector<std::string> steps;  ///< in the words of step_of()
  bool ignores_merges = false;     ///< words of the vocabulary are taken whole
};

std::string pattern_of_words(const std::string& digits) {
  return R"(split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" + digits +
         R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

const std::vector<Splitter>& splitters() {
  static const std::vector<Splitter> rows = {
      {"gpt-2", {"words"}},
      {"smollm", {"digit by digit", "words"}},
      {"llama-bpe", {pattern_of_words(R"(\p{N}{1,3})"), "bytes"}, true},
      {"qwen2", {pattern_of_words(R"(\p{N})"), "bytes"}},
  };
  return rows;
}

/// The behavior of one pre-tokenizer, as far as the known ones differ.
std::string step_of(const json& step) {
  const std::string type = step.value("type", "unnamed");
  if (type == "ByteLevel" && step.value("add_prefix_space", false)) return "words after a space of its own";
  if (type == "ByteLevel") return step.value("use_regex", true) ? "words" : "bytes";
  if (type == "Digits") return step.value("individual_digits", false) ? "digit by digit" : "digits";
  const bool splits =
      type == "Split" && step.value("behavior", "") == "Isolated" && !step.value("invert", false);
  if (splits && step.at("pattern").contains("Regex"))
    return "split " + step.at("pattern").at("Regex").get<std::string>();
  return type;
}

/// Before the splits llama.cpp only has NFC; a sequence may be empty.
void check_normalizer(const std::string& path, const json& normalizer) {
  if (normalizer.is_null()) return;
  const std::string type = normalizer.value("type", "unnamed");
  if (type == "Sequence") {
    for (const json& step : normalizer.at("normalizers")) check_normalizer(path, step);
    return;
  }
  ADA_CHECK(type == "NFC",
            "{}: normalizes text by {}, which a GGUF has no key for; "
            "quantize a .gguf that llama.cpp made of the folder",
            path, type);
}

}  // namespace

std::string gguf_pre_tokenizer(const std::string& path, const json& tokenizer) {
  const json whole = tokenizer.value("pre_tokenizer", json());
  ADA_CHECK(whole.is_object(), "{}: has no pre_tokenizer; quantize a .gguf that llama.cpp made of the folder",
            path);
  check_normalizer(path, tokenizer.value("normalizer", json()));
  std::vector<std::string> steps;
  if (whole.value("type", "") == "Sequence")
    for (const json& step : whole.at("pretokenizers")) steps.push_back(step_of(step));
  else
    steps.push_back(step_of(whole));
  for (const Splitter& row : splitters()) {
    if (row.steps != steps) continue;
    const bool ignores_merges = tokenizer.value("model", json::object()).value("ignore_merges", false);
    ADA_CHECK(ignores_merges == row.ignores_merges,
              "{}: has ignore_merges {}, and what llama.cpp calls {} implies {}; "
              "quantize a .gguf that llama.cpp made of the folder",
              path, ignores_merges, row.name, row.ignores_merges);
    return row.name;
  }
  fail(
      "{}: splits text in a way that has no name here ({}); "
      "quantize a .gguf that llama.cpp made of the folder",
      path, fmt::join(steps, "; "));
}

}  // namespace adascale
