#pragma once
#include <optional>
#include <string>
#include <vector>

#include "adascale/quant/encoding.h"
#include "adascale/tune/block_trainer.h"

namespace adascale {

/// Mean losses of a block's outputs over the batches compared.
struct Losses {
  double training = 0;  ///< over those trained on
  double over_all = 0;  ///< of both kinds, by their shares of all batches: decides between candidates
  std::optional<double> held_out;  ///< over the batches not trained on, where there are any
  bool finite = true;              ///< on every batch that was run
};

/// Weights that a block may keep, measured in the quantized stream.
struct Candidate {
  std::string name;                 ///< as notes call it: "round-to-nearest"
  std::vector<Encoding> encodings;  ///< by weight of the job; none where a loss is not finite
  Losses losses;

  bool is_finite() const { return losses.finite; }
  bool no_worse_than(const Candidate& other) const { return losses.over_all <= other.losses.over_all; }
  /// True against a candidate whose loss is NaN, too.
  bool better_than(const Candidate& other) const { return !other.no_worse_than(*this); }
};

/// The weights on the grids of the simulation. Throws (user) if their loss is not finite.
Candidate measure_round_to_nearest(BlockTrainer& trainer, const BlockJob& job);
/// The range that the trainer starts from.
Candidate measure_start(BlockTrainer& trainer, const BlockJob& job);
/// The weights that the trainer has now. Runs the quantized stream, which then has their outputs.
Candidate run_trained(BlockTrainer& trainer, const BlockJob& job);
/// A candidate that stays without having run all batches. Throws (user) if a loss is not finite.
void check_on_all(const Candidate& candidate, BlockTrainer& trainer, const BlockJob& job);

}  // namespace adascale
