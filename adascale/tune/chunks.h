#pragma once
#include <functional>
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

  /// Runs all without gradients. The environment has the user inputs, and then what crosses cuts, and the output.
  void run(Environment& environment, const RunHooks& hooks) const;
  /// Adds to the gradients of what `hooks` give for learned state, for the gradient of `output` given. `environment`: as
  /// run() left it; what crosses cuts is dropped on the way. `after_piece`: called behind each piece, the last one first.
  void backward(Environment& environment, const RunHooks& hooks, const at::Tensor& gradient,
                const std::function<void()>& after_piece = {}) const;

 private:
  struct Piece {
    Interpreter interpreter;
    std::vector<ValueId> depend;  ///< of its feeds, those that depend on learned state
  };

  const Program& program_;
  ValueId output_;
  std::set<ValueId> dependent_;  ///< values that depend on learned state
  std::vector<Piece> pieces_;
  std::string obstacle_;
};

}  // namespace adascale
