#pragma once
#include <vector>

#include "adascale/graph/dataflow.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/blocks.h"

namespace adascale {

/// The stages in which a program's nodes run, three for each block: those that it needs and no stage before it ran,
/// of which the shared ones come first, and its own.
enum StagePlace { kShared, kNeeds, kBlock, kStagePlaces };

/// By node: whether both streams may have one result of it. No quantized weight reaches it, nor an input that they
/// have each of their own, and nothing writes in place into what it reads or makes.
std::vector<bool> shared_nodes(const QuantizationSimModel& sim, const Dataflow& flow, bool has_one_input);

/// By stage: its nodes, in execution order.
using StageNodes = std::vector<std::vector<NodeId>>;
StageNodes stages_of(const Program& program, const Dataflow& flow, const std::vector<Block>& blocks,
                     const std::vector<bool>& is_shared);

/// By value: the last stage that reads it, -1 where none does.
std::vector<int> last_stages(const Program& program, const StageNodes& stages);

/// By block: the outputs that the loss alone reads, such as a head's logits.
std::vector<std::vector<ValueId>> only_compared(const std::vector<Block>& blocks,
                                                const std::vector<int>& last_stages);

/// Whether FP outputs without room in memory are computed anew for each comparison, instead of waiting in the file. True for
/// one layer outside the blocks found, a product such as a head, if no other block reads its outputs and they are
/// larger than its inputs. To run a whole block again may cost more than the disk; a recurrent layer runs with
/// other switches in training.
bool may_compute_anew(const Program& program, const Block& block, const std::vector<ValueId>& only_compared,
                      int64_t bytes_of_outputs, int64_t bytes_of_inputs);

}  // namespace adascale
