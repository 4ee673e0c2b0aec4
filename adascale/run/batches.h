#pragma once
#include <cstdint>
#include <vector>

#include "adascale/run/door.h"
#include "adascale/sim/quantsim.h"

namespace adascale {

/// Samples cut into batches that the program takes.
struct Batches {
  std::vector<Inputs> inputs;  ///< none of a model in parts, whose door keeps them
  int64_t count = 0, samples = 0;
  int64_t batch_size = 0;  ///< the last batch may be shorter; 0: batches have sizes of their own
};

/// Cuts the model's samples into batches, or the first `samples` of them if that is given.
/// `batch_size`: if not given, kDefaultBatchSize or the size for which the program was exported.
/// Batches are views of the samples. Errors, all at once: missing and unknown names, dtypes,
/// shapes, no samples, unequal sample counts, NaN or infinity, fewer samples than asked for, a
/// batch that the program does not take.
Batches cut_batches(const OpenedModel& model, const DataRequest& data);

/// The samples of a batch: the first size of its first tensor; 0 without one.
int64_t samples_in(const Inputs& inputs);
/// The batch in equal pieces, views of it, of `at_most` samples, or of the next number that divides it and that
/// the program takes; whole, if there is none.
std::vector<Inputs> cut_batch(const Program& program, const Inputs& batch, int64_t at_most);

}  // namespace adascale
