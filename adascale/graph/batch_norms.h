#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// An inference batch norm and the layer whose result it alone reads.
struct FoldableBatchNorm {
  NodeId norm = kNone, layer = kNone;
};

/// A batch norm that stays, by ModuleCall::label(), and why.
struct KeptBatchNorm {
  std::string name, reason;
};

struct BatchNorms {
  std::vector<FoldableBatchNorm> foldable;  ///< execution order
  std::vector<KeptBatchNorm> kept;
};

/// Sorts a program's batch norms into those that can become part of the layer before them and the rest.
///
/// Foldable is one with fixed statistics of its own that directly and alone follows a convolution, transposed
/// convolution or linear whose weight (and bias, if it has one) is a parameter that nothing else reads.
BatchNorms find_batch_norms(const Program& program);

/// True where the layer's weight is [in, out / groups, ...], as transposed convolutions have it.
bool has_transposed_weight(const Node& layer);
/// The layer's groups; 1 for a linear.
int64_t groups_of(const Node& layer);

}  // namespace adascale
