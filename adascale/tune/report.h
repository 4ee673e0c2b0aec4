#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adascale/tune/loss_curve.h"
#include "adascale/tune/value_counts.h"

namespace adascale {

struct LayerReport {
  std::string name;
  std::string grid;        ///< "int4 symmetric per channel"
  double sqnr_rtn_db = 0;  ///< of the weight itself, rounded to nearest
  double sqnr_db = 0;      ///< of the weight that is kept
  double codes_moved = 0;  ///< share of codes that differ from round-to-nearest's
  ValueCounts weights;     ///< of the weight before quantization
  CodeCounts codes;        ///< of the weight that is kept
};

struct BlockReport {
  std::string name;
  std::vector<LayerReport> layers;
  /// Round-to-nearest, at most 32 of the batches trained on (TrainingPlan::compared_batches), quantized inputs, no mixing.
  double loss_before = 0;
  double loss_after = 0;  ///< of the trained weights, kept or not, on the same batches
  std::optional<double> held_out_before, held_out_after;  ///< on batches that were not trained on
  int64_t iterations = 0;
  LossCurve curve;  ///< of the best attempt at training
  double seconds = 0;
  double step_length = 1;  ///< of the last attempt at training, as a share of the recipe's steps
  /// False: round-to-nearest or the start stays: better over the batches compared, or training diverged.
  bool kept = true;
  bool diverged = false;  ///< training ended with a loss that is not finite, on some batch
  std::string note;       ///< explains an unusual result
};

/// What the scales' training on the model's own output gave (last_stage.h).
struct LastStageReport {
  int64_t iterations = 0;                          ///< 0: it did not run
  double held_out_before = 0, held_out_after = 0;  ///< the loss on samples that no training saw
  bool kept = false;
  double seconds = 0;
  std::string note;  ///< why it did not run
};

struct AdaScaleReport {
  std::string recipe;
  std::string device;     ///< "cpu", "cuda:0"
  std::string precision;  ///< of the products in training: "bfloat16 up to 4 bits, the rest TF32"
  std::vector<BlockReport> blocks;
  std::optional<LastStageReport> last_stage;  ///< of a recipe that has one
  std::vector<std::string> not_trained;       ///< "pooler.dense: outside every block", one line each
  double seconds = 0;
  int64_t block_bytes = 0;  ///< estimate of the memory that the largest block took in training
};

}  // namespace adascale
