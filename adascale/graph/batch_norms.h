#pragma once
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// An inference batch norm and the layer before it, whose result nothing else reads.
struct FoldableBatchNorm {
  NodeId norm = kNone, layer = kNone;
};

/// A batch norm that stays, by ModuleCall::label(), and the reason.
struct KeptBatchNorm {
  std::string name, reason;
};

struct BatchNorms {
  std::vector<FoldableBatchNorm> foldable;  ///< execution order
  std::vector<KeptBatchNorm> kept;
};

/// Sorts a program's batch norms into those that can become part of the layer before them and the rest.
///
/// A batch norm is foldable if it has fixed statistics of its own and directly follows a
/// convolution, transposed convolution or linear whose result only it reads and whose weight (and
/// bias, if any) is a parameter that nothing else reads.
BatchNorms find_batch_norms(const Program& program);

/// True where the layer's weight is [in, out / groups, ...], as transposed convolutions have it.
bool has_transposed_weight(const Node& layer);
/// The layer's groups; 1 for a linear.
int64_t groups_of(const Node& layer);

}  // namespace adascale
