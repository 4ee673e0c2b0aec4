#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "adascale/graph/interpreter.h"

namespace adascale {

/// A program cut behind each of its blocks, so that a gradient through all of it takes the memory of one piece: what
/// crosses a cut is kept, all else is made again when backward comes to its piece (arXiv 1604.06174).
class Chunks {
 public:
  /// `ends`: the last node of each piece, ascending; what follows the last is one more. `learned`: the state by which
  /// gradients are asked for. `output`: the value that is run to.
  Chunks(const Program& program, const std::vector<NodeId>& ends, const std::set<ValueId>& learned,
         ValueId output);

  /// All nodes that the output needs, in execution order.
  std::vector<NodeId> nodes() const;
  /// Why there is no gradient; empty: there is one.
  const std::string& obstacle() const { return obstacle_; }

  /// The loss's gradient of the output, of its shape, from what a run left: what crosses cuts, and the output.
  using GradientOf = std::function<at::Tensor(const Environment&)>;

  /// Runs all without gradients. The environment has the user inputs, and then what crosses cuts, and the output.
  void run(Environment& environment, const RunHooks& hooks) const;
  /// Runs all, and adds to the gradients of what `hooks` give for learned state. The last piece runs once, the others
  /// twice. The environment has the user inputs; what crosses cuts is dropped on the way back. `after_piece`: called
  /// behind each piece's gradients, the last one's first.
  void differentiate(Environment& environment, const RunHooks& hooks, const GradientOf& gradient,
                     const std::function<void()>& after_piece = {}) const;

 private:
  struct Piece {
    Interpreter interpreter;
    std::vector<ValueId> depend;  ///< of its feeds, those that depend on learned state
  };

  /// A run of a piece with gradients, and its feeds that have one.
  struct Tape {
    Environment environment;
    std::map<ValueId, at::Tensor> leaves;
  };
  using Gradients = std::map<ValueId, at::Tensor>;

  Tape record(const Piece& piece, const Environment& environment, const RunHooks& hooks) const;
  /// From the gradients of what the piece makes to those of its feeds. False: it makes nothing that has one.
  bool play_back(const Piece& piece, Tape tape, Gradients& gradients) const;

  const Program& program_;
  ValueId output_;
  std::set<ValueId> dependent_;  ///< values that depend on learned state
  std::vector<Piece> pieces_;
  std::string obstacle_;
};

}  // namespace adascale
