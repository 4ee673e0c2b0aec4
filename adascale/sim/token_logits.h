#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "adascale/sim/inputs.h"

namespace adascale {

/// The positions of a program's token ids and padding mask among its flat user inputs.
struct TokenInputs {
  std::vector<size_t> ids;     ///< int64 [batch, seq], looked up in an embedding
  std::optional<size_t> mask;  ///< "attention_mask" [batch, seq]
};

/// For an output [batch, seq, vocab] as the graph declares it: the inputs looked up in an embedding
/// of `vocab` rows. Nothing when there is none, so that hidden states are not taken for logits.
std::optional<TokenInputs> token_inputs(const Program& program, ValueId output);

/// The ids [batch, seq] of these logits; undefined unless exactly one input has their shape.
at::Tensor ids_of(const TokenInputs& tokens, const Inputs& inputs, const at::Tensor& logits);
/// Bool [batch, seq], false at padding; undefined when the program has no such mask.
at::Tensor mask_of(const TokenInputs& tokens, const Inputs& inputs, const at::Tensor& ids);

/// The position among the flat user inputs of "attention_mask" [batch, seq], 0 at padding.
std::optional<size_t> padding_input(const Program& program);
/// That input as bool, false at padding; undefined where the program has none, or where nothing is padding, or everything.
at::Tensor padding_mask(const Program& program, const Inputs& inputs);

}  // namespace adascale
