#pragma once
#include <optional>
#include <string>
#include <vector>

#include "adascale/quant/encoding.h"
#include "adascale/tune/block_trainer.h"

namespace adascale {

/// Mean losses of a block's outputs.
struct Losses {
  double training = 0;             ///< over the batches trained on
  double over_all = 0;             ///< over all batches: decides between candidates
  std::optional<double> held_out;  ///< over the batches not trained on, where there are any
};

/// Weights that a block may keep, measured in the quantized stream.
struct Candidate {
  std::string name;                 ///< as notes call it: "round-to-nearest"
  std::vector<Encoding> encodings;  ///< by weight of the job; none where a loss is not finite
  Losses losses;

  bool is_finite() const;
  bool no_worse_than(const Candidate& other) const { return losses.over_all <= other.losses.over_all; }
  /// True against a candidate whose loss is NaN, too.
  bool better_than(const Candidate& other) const { return !other.no_worse_than(*this); }
};

/// Both run the block in the quantized stream, which then has the candidate's outputs.

/// The weights on the grids of the simulation. Throws (user) if their loss is not finite.
Candidate measure_round_to_nearest(BlockTrainer& trainer, const BlockJob& job);
/// The weights that the trainer has now.
Candidate measure_present(const std::string& name, BlockTrainer& trainer, const BlockJob& job);

}  // namespace adascale
