#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adascale/io/gguf.h"

namespace adascale {

/// A model that llama.cpp runs and whose transformers folder can be written as GGUF here.
struct GgufArchitecture {
  const char* name;   ///< general.architecture: "llama"
  const char* model;  ///< transformers' class
  /// llama.cpp's rotary embedding rotates adjacent rows, transformers' the halves of a
  /// head: rows of q and k move.
  bool moves_head_rows;
};

const std::vector<GgufArchitecture>& gguf_architectures();
/// By either name; throws (user) listing the known ones.
const GgufArchitecture& gguf_architecture(const std::string& name);

/// llama.cpp's name of a tensor of a transformers folder: "model.layers.3.mlp.up_proj.weight" is
/// "blk.3.ffn_up.weight". Empty: it has none.
std::string gguf_tensor_name(const std::string& stored_name);

/// The number of heads within which the rows of the tensor of that name move; 0: its rows stay.
int64_t heads_that_move(const GgufArchitecture& architecture, const std::string& gguf_name, int64_t heads,
                        int64_t kv_heads);
/// The source index of each row of a moved tensor: int64 [rows].
at::Tensor moved_rows(int64_t rows, int64_t heads);

/// llama.cpp's hyper-parameters from a config.json. Throws (user), beginning with `path`, for
/// a setting without a key.
GgufMetadata gguf_hyper_parameters(const std::string& path, const GgufArchitecture& architecture,
                                   const nlohmann::json& config);

}  // namespace adascale
