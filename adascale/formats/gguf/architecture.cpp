#include "adascale/formats/gguf/architecture.h"

#include <ATen/ops/arange.h>
#include <fmt/ranges.h>

#include <array>
#include <map>

#include "adascale/core/error.h"

// Names and keys are llama.cpp's (gguf/constants.py, gguf/tensor_mapping.py of the `gguf` package 0.19).
namespace adascale {
namespace {

using nlohmann::json;

const std::map<std::string, std::string>& outer_names() {
  static const std::map<std::string, std::string> names = {
      {"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};
  return names;
}

const std::map<std::string, std::string>& layer_names() {
  static const std::map<std::string, std::string> names = {
      {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
      {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  return names;
}

/// "3.mlp.up_proj" -> "blk.3.ffn_up"
std::string layer_name(const std::string& rest) {
  const size_t dot = rest.find('.');
  if (dot == std::string::npos || dot == 0 || rest.find_first_not_of("0123456789") != dot) return {};
  const auto row = layer_names().find(rest.substr(dot + 1));
  return row == layer_names().end() ? "" : fmt::format("blk.{}.{}", rest.substr(0, dot), row->second);
}

/// Reads a config's numbers; a missing one is an error that names the key.
class Config {
 public:
  Config(std::string path, const json& values) : path_(std::move(path)), values_(values) {}

  template <class T>
  T get(const std::string& key) const {
    const auto found = values_.find(key);
    ADA_CHECK(found != values_.end() && found->is_number(), "{}: {} is no number", path_, key);
    return found->get<T>();
  }
  template <class T>
  T get(const std::string& key, T otherwise) const {
    return has(key) ? get<T>(key) : otherwise;
  }
  bool has(const std::string& key) const { return values_.contains(key) && !values_.at(key).is_null(); }
  uint32_t count(const std::string& key) const {
    const auto value = get<int64_t>(key);
    ADA_CHECK(value > 0 && value <= INT32_MAX, "{}: {} is {}, expected a positive number", path_, key, value);
    return static_cast<uint32_t>(value);
  }
  const json& at(const std::string& key) const { return values_.at(key); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const json& values_;
};

void check_runs_there(const Config& config) {
  const std::string act = config.has("hidden_act") ? config.at("hidden_act").get<std::string>() : "silu";
  ADA_CHECK(act == "silu", "{}: hidden_act is {}, but llama.cpp's model has silu", config.path(), act);
  ADA_CHECK(
      !config.has("use_sliding_window") || !config.at("use_sliding_window").get<bool>(),
      "{}: use_sliding_window has no key in its GGUF; quantize a .gguf that llama.cpp made of the model",
      config.path());
}

/// The base of rotary embeddings; transformers 5 keeps it in `rope_parameters`.
float rope_base(const Config& config) {
  float base = config.get<float>("rope_theta", 10000.0F);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key)) continue;
    const json& rope = config.at(key);
    const std::string type = rope.value("rope_type", rope.value("type", "default"));
    ADA_CHECK(type == "default",
              "{}: rotary embeddings of type {} are not written; "
              "quantize a .gguf that llama.cpp made of the model",
              config.path(), type);
    base = rope.value("rope_theta", base);
  }
  return base;
}

}  // namespace

const std::vector<GgufArchitecture>& gguf_architectures() {
  static const std::vector<GgufArchitecture> rows = {{"llama", "LlamaForCausalLM", true},
                                                     {"qwen2", "Qwen2ForCausalLM", false},
                                                     {"qwen3", "Qwen3ForCausalLM", false}};
  return rows;
}

const GgufArchitecture& gguf_architecture(const std::string& name) {
  std::vector<std::string> known;
  for (const GgufArchitecture& row : gguf_architectures()) {
    if (name == row.name || name == row.model) return row;
    known.emplace_back(row.model);
  }
  fail("architecture {} is not written, only {}", name, fmt::join(known, ", "));
}

std::string gguf_tensor_name(const std::string& stored_name) {
  const size_t dot = stored_name.rfind('.');
  if (dot == std::string::npos) return {};
  const std::string module = stored_name.substr(0, dot), parameter = stored_name.substr(dot);
  if (parameter != ".weight" && parameter != ".bias") return {};
  constexpr std::string_view kLayers = "model.layers.";
  if (module.rfind(kLayers, 0) == 0) {
    const std::string name = layer_name(module.substr(kLayers.size()));
    return name.empty() ? "" : name + parameter;
  }
  const auto row = outer_names().find(module);
  return row == outer_names().end() ? "" : row->second + parameter;
}

int64_t heads_that_move(const GgufArchitecture& architecture, const std::string& gguf_name, int64_t heads,
                        int64_t kv_heads) {
  if (!architecture.moves_head_rows) return 0;
  if (gguf_name.find(".attn_q.") != std::string::npos) return heads;
  return gguf_name.find(".attn_k.") != std::string::npos ? kv_heads : 0;
}

at::Tensor moved_rows(int64_t rows, int64_t heads) {
  // For each head: the two halves of its rows, interleaved row by row.
  return at::arange(rows, at::kLong).view({heads, 2, rows / heads / 2}).transpose(1, 2).reshape({rows});
}

GgufMetadata gguf_hyper_parameters(const std::string& path, const GgufArchitecture& architecture,
                                   const json& values) {
  const Config config(path, values);
  check_runs_there(config);
  const uint32_t width = config.count("hidden_size"), heads = config.count("num_attention_heads");
  const uint32_t head_width = config.has("head_dim") ? config.count("head_dim") : width / heads;
  GgufMetadata metadata;
  const auto add = [&](const std::string& key, GgufValue value) {
    metadata.emplace_back(fmt::format("{}.{}", architecture.name, key), std::move(value));
  };
  add("block_count", config.count("num_hidden_layers"));
  add("context_length", config.count("max_position_embeddings"));
  add("embedding_length", width);
  add("feed_forward_length", config.count("intermediate_size"));
  add("attention.head_count", heads);
  add("attention.head_count_kv",
      config.has("num_key_value_heads") ? config.count("num_key_value_heads") : heads);
  add("attention.key_length", head_width);
  add("attention.value_length", head_width);
  add("attention.layer_norm_rms_epsilon", config.get<float>("rms_norm_eps"));
  add("rope.dimension_count", head_width);
  add("rope.freq_base", rope_base(config));
  add("vocab_size", config.count("vocab_size"));
  return metadata;
}

}  // namespace adascale
