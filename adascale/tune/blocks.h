#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// One module call that AdaScale trains as a unit, and the values that cross its border.
struct Block {
  CallId call = kNone;
  std::string name;            ///< ModuleCall::label()
  std::vector<NodeId> nodes;   ///< the call's nodes, execution order
  std::vector<NodeId> layers;  ///< linear, convolution, matmul and recurrent nodes with a parameter weight
  std::vector<ValueId> activations_in;   ///< from a previous block: mixed and quantized streams
  std::vector<ValueId> activations_out;  ///< compared by the loss
  std::vector<ValueId> side_in;          ///< masks, rotary tables, time embeddings
  std::vector<ValueId> side_out;
};

/// Finds the blocks of a program from operators, inputs, module stacks and dtypes, never from
/// names. The rule is in ARCHITECTURE.md. Empty when no call of the program has two layers.
std::vector<Block> find_blocks(const Program& program);

/// The calls matched by globs, instead of the rule; execution order. A glob (`encoder.layer.*`)
/// matches labels and paths, so that a plain path takes all calls of its module; of nested calls it
/// takes the outermost. Errors: no pattern; a pattern that matches no call; a matched call without
/// layers; nested calls that two patterns match.
std::vector<Block> blocks_matching(const Program& program, const std::vector<std::string>& patterns);

/// Layers outside all of `blocks`, as node ids.
std::vector<NodeId> layers_outside(const Program& program, const std::vector<Block>& blocks);

/// "encoder.layer.0  BertLayer  6 layers | in x[2, 16, 32] | out y[2, 16, 32] | side in mask[2, 1, 16, 16]".
std::string describe_block(const Program& program, const Block& block);

/// One line per call considered, blocks marked, for `inspect`.
std::string describe_calls(const Program& program, const std::vector<Block>& blocks);
/// The calls considered, for the message when no block is found.
std::vector<std::string> list_calls(const Program& program);

}  // namespace adascale
