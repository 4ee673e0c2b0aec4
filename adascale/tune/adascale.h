#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/core/options.h"
#include "adascale/core/progress.h"
#include "adascale/sim/parts.h"
#include "adascale/sim/quantsim.h"
#include "adascale/sim/recorder.h"
#include "adascale/tune/activation_store.h"
#include "adascale/tune/report.h"

namespace adascale {

struct AdaScaleOptions {
  std::optional<int64_t> num_epochs;      ///< one epoch: every batch once; neither given: one epoch
  std::optional<int64_t> num_iterations;  ///< per block; not together with num_epochs
  int64_t accumulate = 1;                 ///< batches whose gradients are added for one iteration's step
  std::vector<std::string> blocks;        ///< globs over module calls instead of the rule
  bool train_outside = false;             ///< each quantized layer outside the blocks as a block of its own
  std::string recipe = "fast";
  bool keep_better = true;           ///< false: the trained weights stay, better or not
  int64_t held_out_batches = 0;      ///< the last batches, which only measure losses and are not trained on
  std::string precision = "auto";    ///< of the trained layers' matmuls: auto, float32, bfloat16
  int64_t activation_memory = 4096;  ///< MiB of activations between blocks; the rest waits in a file
  /// MiB on a device other than the CPU, which are filled first.
  std::optional<int64_t> device_activation_memory;
  bool deterministic = false;  ///< where the device's fast algorithms are not
  double lr_scale = 1.0;       ///< multiplies the recipe's learning rates
  int64_t seed = 0;
  /// Each finished block is kept there; empty, or "none": nowhere. `quantize` takes a folder beside its
  /// output where this is empty, and removes it once the files are written.
  std::string checkpoint_dir;
  bool resume = false;    ///< goes on behind the blocks in checkpoint_dir
  ProgressSink progress;  ///< empty: silent
};

template <class Visitor, class Options>
void visit_adascale_options(Visitor&& visit, Options& options) {
  visit("epochs", options.num_epochs, "passes over the calibration batches, per block",
        OptionRule{.min = 1, .alias = "num_epochs"});
  visit("iterations", options.num_iterations,
        "training iterations per block, one step each; without it those of the recipe; not with epochs",
        OptionRule{.min = 1, .alias = "num_iterations"});
  visit("accumulate", options.accumulate,
        "batches whose gradients are added for one step: a larger batch in the memory of a small one; "
        "processes of torchrun share them, so that it is a multiple of their number",
        OptionRule{.min = 1});
  visit("blocks", options.blocks, "globs over module names: train these instead of the blocks found",
        OptionRule{});
  visit("train_outside", options.train_outside,
        "train each quantized layer outside the blocks (embeddings, heads, stems) as a block of its own",
        OptionRule{});
  visit("recipe", options.recipe, "how blocks are trained; `adascale list recipes`", OptionRule{});
  visit("keep_better", options.keep_better,
        "off, what was trained stays, to study it; "
        "on, a block that was better before training stays as it was",
        OptionRule{});
  visit("held_out_batches", options.held_out_batches,
        "calibration batches kept out of training, to report losses on", OptionRule{.min = 0});
  visit("precision", options.precision,
        "of matmuls with trained fp32 weights, in training and in the full-precision model: float32; "
        "bfloat16 for weights of up to 4 bits; or auto, which is bfloat16 where the recipe allows it "
        "and the device is fast at it, and then TF32 for the rest on a GPU that has it",
        OptionRule{.choices = {"auto", "float32", "bfloat16"}});
  visit("activation_memory", options.activation_memory,
        "MiB of activations kept in the host's memory between blocks; "
        "the rest waits in a temporary file (TMPDIR)",
        OptionRule{.min = 0, .max = 1e9});
  visit(
      "device_activation_memory", options.device_activation_memory,
      "MiB of them kept on the device first, where that is not the CPU; default: what the blocks leave free",
      OptionRule{.min = 0, .max = 1e9});
  visit("deterministic", options.deterministic,
        "same bytes again on a GPU too, by slower algorithms; "
        "CUDA needs CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment; CPUs always give the same bytes",
        OptionRule{});
  visit("lr_scale", options.lr_scale, "multiplies the recipe's learning rates", OptionRule{.min = 0});
  visit("seed", options.seed, "same seed, threads and inputs: same bytes", OptionRule{.min = 0});
  visit("checkpoint_dir", options.checkpoint_dir,
        "folder that keeps each finished block, so that a run that was killed can go on; none: nowhere; "
        "without it quantize takes OUTPUT_DIR.checkpoint, and removes it at the end",
        OptionRule{});
  visit("resume", options.resume,
        "go on behind the finished blocks in the checkpoint folder; without any, start from the beginning",
        OptionRule{});
}

/// Learns the weight encodings block by block (AdaScale; algorithm in ARCHITECTURE.md) and
/// folds them into the sim.
///
/// `batches`: flat user inputs, one entry per iteration of an epoch. Activation quantizers are
/// neither used nor changed. A trained block is kept only if its loss over the batches compared is no worse
/// than round-to-nearest's, unless `keep_better` is off; the report says so. Errors, before any
/// work and all at once: no batches; NaN or infinity in a batch; inputs that do not fit; no block
/// found; a layer that cannot be trained; epochs with iterations; sim already calibrated or already
/// trained. A failure during the work names the blocks already folded; these stay folded. An exception
/// of the progress sink keeps its type, and the log names them.
AdaScaleReport apply_adascale(QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                              const AdaScaleOptions& options = {});

/// The inputs of a part in both streams: of the FP model, and of the model whose earlier parts are
/// quantized. The same batches in the same order: those that reach the part in both.
struct PartInputs {
  std::vector<Inputs> fp, quant;
};
/// Runs both models up to a part, given its number, and catches its inputs, which wait in `store`. Called once per
/// part trained, in order, after the parts before it are folded.
using CatchInputs = std::function<PartInputs(size_t part, ActivationStore& store)>;

/// The same for a model in parts, which are trained one after the other. `batches`: of each part
/// the inputs that reach it in the FP model, which are checked before any work; tensors without values
/// (meta) of their sizes are enough.
AdaScaleReport apply_adascale(const PartedModel& model, const std::vector<std::vector<Inputs>>& batches,
                              const CatchInputs& catch_inputs, const AdaScaleOptions& options = {});

/// Passes a batch (a tensor, positional tensors or named tensors) to the model.
struct DefaultForward {
  template <class Batch>
  void operator()(QuantizationSimModel& model, const Batch& batch) const {
    model(batch);
  }
};
inline constexpr DefaultForward default_forward_fn{};

/// The same for any range of batches: `forward_fn(sim, batch)` prepares the input
/// and calls the model last.
template <class Batches, class Forward>
AdaScaleReport apply_adascale(QuantizationSimModel& sim, const Batches& batches, const Forward& forward_fn,
                              const AdaScaleOptions& options = {}) {
  return apply_adascale(sim, record_inputs(sim, batches, forward_fn), options);
}

}  // namespace adascale
