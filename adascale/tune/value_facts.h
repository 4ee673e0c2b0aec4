#pragma once
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// The block rule's facts about single values and nodes, found in one pass over the program.
class ValueFacts {
 public:
  /// The origin of a value; of several streams into a call, blocks pass on the one of the highest rank.
  enum class Rank : char { kPlain, kParameter, kLayer };

  explicit ValueFacts(const Program& program);

  /// A float tensor whose numbers, not only shape, depend on the user's input.
  bool is_data(ValueId value) const { return is_data_[value]; }
  /// A parameter, buffer or constant of the program.
  bool is_state(ValueId value) const { return is_state_[value]; }
  bool is_returned(ValueId value) const { return is_returned_[value]; }
  Rank rank(ValueId value) const { return rank_[value]; }

  /// A linear, convolution, matmul or recurrent node whose weight is a parameter, seen through views or not.
  bool is_layer(NodeId node) const { return is_layer_[node]; }
  /// The tensors whose numbers `node` uses; none for zeros_like and similar operators.
  const std::vector<ValueId>& numbers_read(NodeId node) const { return numbers_read_[node]; }
  /// All tensors `node` reads.
  const std::vector<ValueId>& tensors_read(NodeId node) const { return tensors_read_[node]; }

 private:
  void note_inputs(const Program& program);
  void note_node(const Program& program, NodeId id);
  bool applies_parameter(const Node& node) const;
  bool holds_parameter(const Argument* operand) const;

  std::vector<bool> from_user_, from_parameter_, is_data_, is_state_, is_returned_;  // by value
  std::vector<Rank> rank_;                                                           // by value
  std::vector<bool> is_layer_;                                                       // by node
  std::vector<std::vector<ValueId>> numbers_read_, tensors_read_;                    // by node
};

}  // namespace adascale
