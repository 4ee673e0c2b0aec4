#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "adascale/tune/training_plan.h"

namespace adascale {

/// What a training's result depends on, by names that messages use. Long contents are digests.
struct Fingerprint {
  using Fields = std::map<std::string, std::string>;
  Fields asked;                  ///< the options, which say why a digest differs; see TrainingPlan::asked
  Fields result;                 ///< another value gives other codes: options, layers, model, data, versions
  Fields bits;                   ///< another value rounds sums otherwise: threads, instruction set, device
  bool data_is_rounded = false;  ///< the digest of the data is of computed values: other bits, another digest
};

/// Whether the numbers of the weights are in it, which takes a reading of the whole model.
enum class WeightsIn { kFingerprint, kNothing };
Fingerprint fingerprint_of(const TrainingPlan& plan, const std::vector<const QuantizationSimModel*>& sims,
                           WeightsIn weights);

/// The options, "model" and "data" among them, by which a field of Fingerprint::result may differ. A field that is not
/// in the table is an option itself, or a version.
std::set<std::string> options_behind(const std::string& field);

/// The digest of batches' content, in order.
std::string digest_of(const std::vector<Inputs>& batches);

}  // namespace adascale
