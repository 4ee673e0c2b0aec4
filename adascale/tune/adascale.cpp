#include "adascale/tune/adascale.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "adascale/core/error.h"
#include "adascale/core/seed.h"
#include "adascale/tune/block_trainer.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/preflight.h"
#include "adascale/tune/program_walk.h"

namespace adascale {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

LayerReport report_layer(const QuantizationSimModel& sim, int32_t index, const Encoding& rtn,
                         const Encoding& kept) {
  const double moved = rtn.codes.ne(kept.codes).to(at::kDouble).mean().item<double>();
  return {sim.weights()[index].layer.name, to_string(kept.grid), rtn.sqnr_db, kept.sqnr_db, moved};
}

/// Mean loss over the batches trained on, and over those held out.
struct Losses {
  double training = 0;
  std::optional<double> held_out;

  double over_all(const BlockJob& job) const {
    const auto trained = static_cast<double>(job.training_batches),
               all = static_cast<double>(job.source.batches());
    return (training * trained + held_out.value_or(0) * (all - trained)) / all;
  }
};

Losses measure(const BlockTrainer& trainer, const BlockJob& job, const std::vector<at::Tensor>& weights) {
  const int64_t training = job.training_batches, all = job.source.batches();
  Losses losses{trainer.measure(weights, 0, training), std::nullopt};
  if (all > training) losses.held_out = trainer.measure(weights, training, all);
  return losses;
}

/// Weights that a block may end up with.
struct Candidate {
  std::string name;
  std::vector<Encoding> encodings;
  Losses losses;
};

Candidate round_to_nearest(const BlockTrainer& trainer, const BlockJob& job) {
  std::vector<Encoding> encodings;
  std::vector<at::Tensor> weights;
  for (const int32_t weight : job.weights) {
    encodings.push_back(job.sim.weight_encoding(weight));
    weights.push_back(job.sim.dequantized_weight(weight));
  }
  Candidate rtn{"round-to-nearest", std::move(encodings), measure(trainer, job, weights)};
  ADA_CHECK(std::isfinite(rtn.losses.over_all(job)),
            "{}: its output is not finite before training; mend the model or the data", job.block.name);
  return rtn;
}

/// Trains one block and folds the best of round-to-nearest, the start of the training and its result.
BlockReport tune_block(QuantizationSimModel& sim, const BlockJob& job, const std::string& stage,
                       const ProgressSink& progress) {
  const auto start = Clock::now();
  BlockTrainer trainer(job);
  const Candidate rtn = round_to_nearest(trainer, job);
  Candidate best = rtn;
  if (job.recipe.start != StartRange::kScheme) {
    Candidate clipped{"the clip search", trainer.encode(),
                      measure(trainer, job, trainer.quantized_weights())};
    if (clipped.losses.over_all(job) <= best.losses.over_all(job)) best = std::move(clipped);
  }
  BlockReport report{.name = job.block.name, .iterations = job.iterations};
  report.loss_before = rtn.losses.training;
  report.held_out_before = rtn.losses.held_out;

  trainer.train([&](int64_t step, double loss) {
    if (progress) progress({stage, step, job.iterations, loss});
  });

  const Losses after = measure(trainer, job, trainer.quantized_weights());
  report.loss_after = after.training;
  report.held_out_after = after.held_out;
  report.kept = after.over_all(job) <= best.losses.over_all(job);
  if (report.kept)
    best = {"trained", trainer.encode(), after};
  else
    report.note = fmt::format(
        "{}; {} stays", std::isfinite(after.over_all(job)) ? "training did not help" : "training diverged",
        best.name);
  sim.adascale_applied = true;
  for (size_t i = 0; i < best.encodings.size(); ++i) {
    report.layers.push_back(report_layer(sim, job.weights[i], rtn.encodings[i], best.encodings[i]));
    sim.fold(job.weights[i], best.encodings[i], report.kept && job.recipe.trains());
  }
  report.seconds = seconds_since(start);
  return report;
}

/// Weights of the block that AdaScale trains and no earlier block has decided.
std::vector<int32_t> weights_to_train(const QuantizationSimModel& sim, const Block& block) {
  std::set<NodeId> inside(block.nodes.begin(), block.nodes.end());
  std::vector<int32_t> found;
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const QuantizedWeight& weight = sim.weights()[i];
    const auto& nodes = weight.layer.nodes;
    const bool here =
        std::any_of(nodes.begin(), nodes.end(), [&](NodeId node) { return inside.contains(node); });
    if (here && is_trainable(weight) && !weight.encoding) found.push_back(static_cast<int32_t>(i));
  }
  return found;
}

BlockReport visit_block(QuantizationSimModel& sim, const Preflight& plan, ProgramWalk& walk, size_t index,
                        const AdaScaleOptions& options) {
  const Block& block = plan.blocks[index];
  walk.reach(index);
  walk.run_fp(index);
  const BlockJob job{sim,
                     block,
                     walk.plan(index),
                     walk,
                     weights_to_train(sim, block),
                     plan.recipe,
                     plan.iterations,
                     plan.training_batches,
                     derive_seed(static_cast<uint64_t>(options.seed), index)};
  BlockReport report{.name = block.name, .note = "nothing to train: its weights are decided already"};
  if (!job.weights.empty()) {
    const auto stage = fmt::format("block {}/{} {}", index + 1, plan.blocks.size(), block.name);
    report = tune_block(sim, job, stage, options.progress);
  }
  if (index + 1 < plan.blocks.size()) walk.pass(index);
  return report;
}

/// "; folded already, and kept so: a, b", for the message of a failure.
std::string describe_folded(const AdaScaleReport& report) {
  std::vector<std::string> names;
  for (const BlockReport& block : report.blocks) names.push_back(block.name);
  return names.empty() ? "" : fmt::format("; folded already, and kept so: {}", fmt::join(names, ", "));
}

}  // namespace

AdaScaleReport apply_adascale(QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                              const AdaScaleOptions& options) {
  const auto start = Clock::now();
  const Preflight plan = check_adascale(sim, batches, options);
  AdaScaleReport report{.recipe = plan.recipe.name, .not_trained = plan.not_trained};
  ProgramWalk walk(sim, plan.blocks, batches);
  try {
    for (size_t i = 0; i < plan.blocks.size(); ++i)
      report.blocks.push_back(visit_block(sim, plan, walk, i, options));
  } catch (const Error& error) {  // boundary: says what a failure leaves behind
    throw Error(error.fault(), error.what() + describe_folded(report));
  } catch (const c10::Error& error) {  // boundary: likewise, libtorch's pages in one line
    throw Error(Error::Fault::kInternal,
                first_line(error.what_without_backtrace()) + describe_folded(report));
  }
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace adascale
