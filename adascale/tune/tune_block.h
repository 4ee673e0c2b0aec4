#pragma once
#include <string>

#include "adascale/tune/block_trainer.h"
#include "adascale/tune/candidate.h"
#include "adascale/tune/report.h"

namespace adascale {

/// The candidates of a block, and which of them stays.
struct TunedBlock {
  Candidate rtn;                  ///< round-to-nearest, which reports compare with
  Candidate before;               ///< the better one of `rtn` and the start of the training
  Candidate trained;              ///< the best attempt at training
  LossCurve curve;                ///< of `trained`
  double step_length = 1;         ///< of the last attempt, as a share of the recipe's
  int64_t exchanged = 0;          ///< bytes of gradients that an iteration adds over the team
  bool keeps_trained = false;     ///< else `before` stays
  bool trained_ran_last = false;  ///< no other weights ran in the quantized stream since

  const Candidate& kept() const { return keeps_trained ? trained : before; }
  bool kept_ran_last() const { return keeps_trained && trained_ran_last; }
};

/// Trains a block's weights and chooses the best of round-to-nearest, the start of the training and
/// its result, or, with `keep_better` off, its result. Changes nothing in the simulation; the
/// quantized stream has the outputs of the last weights measured.
TunedBlock tune_block(const BlockJob& job, bool keep_better);

/// Runs the block in the quantized stream with these weights as tune_block runs it, and so with the same bits.
void run_as_trained(BlockJob job, const std::vector<Encoding>& encodings);

/// The numbers of a tuned block, without its seconds.
BlockReport report_block(const BlockJob& job, const TunedBlock& tuned);

}  // namespace adascale
