#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "adascale/tune/report.h"

namespace adascale {

/// A report in a few figures. Blocks without layers to train do not count.
struct TrainingSummary {
  int64_t blocks = 0, better = 0, worse = 0;
  int64_t stayed = 0, diverged = 0;  ///< kept as before training
  bool is_all_rounded = false;       ///< no block's error differs from that of round-to-nearest
  /// Median over the blocks of the change of the error that is kept, on the batches trained on and on those that
  /// were not; -0.4: 40 % less.
  std::optional<double> change, held_out_change;
  const LayerReport* noisiest = nullptr;  ///< of the report's layers, by SQNR; none where all are exact

  bool is_good() const { return blocks > 0 && better == blocks; }
};

/// `report` must outlive it.
TrainingSummary summarize(const AdaScaleReport& report);

/// Whether it worked, in a sentence.
std::string verdict(const TrainingSummary& summary);

/// "42 % less", "3 % more", "no change".
std::string describe_change(double change);

}  // namespace adascale
