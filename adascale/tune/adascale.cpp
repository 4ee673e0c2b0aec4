#include "adascale/tune/adascale.h"

#include <c10/util/Exception.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cmath>
#include <numeric>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/seed.h"
#include "adascale/device/flags.h"
#include "adascale/device/memory.h"
#include "adascale/quant/schemes.h"
#include "adascale/tune/block_trainer.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/input_power.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/preflight.h"
#include "adascale/tune/program_walk.h"
#include "adascale/tune/trained_layers.h"

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
  double training = 0, over_all = 0;
  std::optional<double> held_out;
};

double mean(const std::vector<double>& values, size_t first, size_t last) {
  return std::accumulate(values.begin() + first, values.begin() + last, 0.0) /
         static_cast<double>(last - first);
}

Losses measure(BlockTrainer& trainer, const BlockJob& job, const std::vector<at::Tensor>& weights) {
  const std::vector<double> losses = trainer.measure(weights);
  const auto training = static_cast<size_t>(job.training_batches), all = losses.size();
  Losses found{mean(losses, 0, training), mean(losses, 0, all), std::nullopt};
  if (all > training) found.held_out = mean(losses, training, all);
  return found;
}

/// Candidate weights of a block, and their losses.
struct Candidate {
  std::string name;
  std::vector<Encoding> encodings;
  Losses losses;

  bool is_finite() const { return std::isfinite(losses.over_all); }
  bool no_worse_than(const Candidate& other) const { return losses.over_all <= other.losses.over_all; }
  bool better_than(const Candidate& other) const { return !(other.losses.over_all <= losses.over_all); }
};

Candidate round_to_nearest(BlockTrainer& trainer, const BlockJob& job) {
  std::vector<Encoding> encodings;
  std::vector<at::Tensor> weights;
  for (const int32_t weight : job.weights) {
    encodings.push_back(job.sim.weight_encoding(weight));
    weights.push_back(dequantize(on(encodings.back(), job.sim.program().device)));
  }
  Candidate rtn{"round-to-nearest", std::move(encodings), measure(trainer, job, weights)};
  ADA_CHECK(rtn.is_finite(), "{}: its output is not finite before training; mend the model or the data",
            job.block.name);
  return rtn;
}

/// The trainer's present weights.
Candidate present(const std::string& name, BlockTrainer& trainer, const BlockJob& job) {
  Candidate now{name, {}, measure(trainer, job, trainer.quantized_weights())};
  if (now.is_finite()) now.encodings = trainer.encode();
  return now;
}

struct Training {
  Candidate result;          ///< of the best attempt
  double step_length = 1;    ///< of the last attempt, as a share of the recipe's
  bool is_in_stream = true;  ///< the quantized stream has the result's outputs
};

using OnIteration = std::function<void(double step_length, int64_t step, double loss)>;

/// Trains with the recipe's steps. If that ends worse than it began and the recipe says so, trains
/// anew with shorter ones: a block of few weights or little data can need them. `trainer` is that
/// of the last attempt, the result that of the best one.
Training train(std::optional<BlockTrainer>& trainer, BlockJob job, const Candidate& start,
               const OnIteration& on_iteration) {
  constexpr double kShorter = 0.25;
  constexpr int kAttempts = 3;
  Training training;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    trainer->train([&](int64_t step, double loss) { on_iteration(training.step_length, step, loss); });
    Candidate now = present("trained", *trainer, job);
    training.is_in_stream = attempt == 0 || (now.is_finite() && now.better_than(training.result));
    if (training.is_in_stream) training.result = std::move(now);
    const bool helped = training.result.is_finite() && training.result.no_worse_than(start);
    if (helped || !job.recipe.shortens_steps || attempt + 1 == kAttempts) break;
    job.recipe.scale_rate *= kShorter;
    job.recipe.rounding_rate *= kShorter;
    training.step_length *= kShorter;
    trainer.reset();  // before the next one takes as much memory
    trainer.emplace(job);
  }
  return training;
}

/// Explains an unusual report; empty when the training helped and was kept.
std::string explain_choice(const Training& training, const Candidate& best_before, bool kept) {
  const Candidate& trained = training.result;
  if (!trained.is_finite()) return fmt::format("training diverged; {} stays", best_before.name);
  if (trained.no_worse_than(best_before))
    return training.step_length == 1
               ? ""
               : fmt::format("with steps {} times as long; longer ones did not help", training.step_length);
  const std::string tried =
      training.step_length == 1 ? "" : fmt::format(", nor with steps {} times as long", training.step_length);
  return kept ? fmt::format("training did not help{} and is kept all the same; {} was better", tried,
                            best_before.name)
              : fmt::format("training did not help{}; {} stays", tried, best_before.name);
}

/// Trains one block and folds the best of round-to-nearest, the start of the training and its
/// result, or, with `keep_better` off, its result. Leaves the outputs of the folded weights
/// in the quantized stream.
BlockReport tune_block(QuantizationSimModel& sim, const BlockJob& job, const std::string& stage,
                       const AdaScaleOptions& options) {
  const auto begin = Clock::now();
  std::optional<BlockTrainer> trainer(job);
  const Candidate rtn = round_to_nearest(*trainer, job);
  Candidate best = rtn;
  if (job.recipe.start != StartRange::kScheme && job.recipe.trains()) {
    Candidate start = present("the clip search", *trainer, job);
    if (start.no_worse_than(best)) best = std::move(start);
  }
  const Training training = train(trainer, job, best, [&](double length, int64_t step, double loss) {
    const std::string name = length == 1 ? stage : fmt::format("{}, {} of the step", stage, length);
    if (options.progress) options.progress({name, step, job.iterations, loss});
  });
  const Candidate& trained = training.result;
  BlockReport report{.name = job.block.name,
                     .loss_before = rtn.losses.training,
                     .loss_after = trained.losses.training,
                     .held_out_before = rtn.losses.held_out,
                     .held_out_after = trained.losses.held_out,
                     .iterations = job.iterations};
  report.kept = trained.is_finite() && (!options.keep_better || trained.no_worse_than(best));
  report.note = explain_choice(training, best, report.kept);
  if (report.kept) best = trained;
  sim.training = {{"recipe", job.recipe.name},
                  {"iterations", std::to_string(job.iterations)},
                  {"seed", std::to_string(options.seed)}};
  for (size_t i = 0; i < best.encodings.size(); ++i) {
    report.layers.push_back(report_layer(sim, job.weights[i], rtn.encodings[i], best.encodings[i]));
    sim.fold(job.weights[i], best.encodings[i], report.kept && job.recipe.trains());
  }
  if (!report.kept || !training.is_in_stream) job.source.run_quant(job.index, {});
  report.seconds = seconds_since(begin);
  return report;
}

std::vector<Range> scheme_ranges(const QuantizationSimModel& sim, const std::vector<int32_t>& weights) {
  std::vector<Range> ranges;
  for (const int32_t weight : weights) ranges.push_back(sim.weights()[weight].range);
  return ranges;
}

std::vector<Range> weighted_ranges(const QuantizationSimModel& sim, const std::vector<int32_t>& weights,
                                   const InputPower& power) {
  const c10::Device device = sim.program().device;
  const std::vector<at::Tensor> importance = power.mean_squares();
  std::vector<Range> ranges;
  for (size_t i = 0; i < weights.size(); ++i) {
    const QuantizedWeight& weight = sim.weights()[weights[i]];
    const at::Tensor w = sim.state(weight.layer.parameters.front()).detach().to(device);
    ranges.push_back(weighted_sqnr_range(w, weight.grid, importance[i]));
  }
  return ranges;
}

/// Runs the block's FP stream and finds the start ranges of its weights.
std::vector<Range> run_fp(const QuantizationSimModel& sim, const Preflight& plan, ProgramWalk& walk,
                          size_t index, const std::vector<int32_t>& weights) {
  if (plan.recipe.start == StartRange::kScheme || weights.empty()) {
    walk.run_fp(index);
    return scheme_ranges(sim, weights);
  }
  InputPower power(sim, weights);
  walk.run_fp(index, [&](int64_t batch, NodeId node, const Environment& environment) {
    if (batch < plan.training_batches) power.watch(node, environment);
  });
  return weighted_ranges(sim, weights, power);
}

BlockReport visit_block(QuantizationSimModel& sim, const Preflight& plan, ProgramWalk& walk, size_t index,
                        const AdaScaleOptions& options) {
  const Block& block = plan.blocks[index];
  walk.reach(index);
  const std::vector<int32_t> weights = weights_to_train(sim, block);
  const std::vector<Range> start = run_fp(sim, plan, walk, index, weights);
  BlockReport report{.name = block.name, .note = "nothing to train"};
  if (weights.empty()) {
    walk.run_quant(index);
  } else {
    const BlockJob job{.sim = sim,
                       .block = block,
                       .index = index,
                       .source = walk,
                       .weights = weights,
                       .start = start,
                       .recipe = plan.recipe,
                       .compute_type = plan.compute_type,
                       .iterations = plan.iterations,
                       .training_batches = plan.training_batches,
                       .deterministic = options.deterministic,
                       .seed = derive_seed(static_cast<uint64_t>(options.seed), index)};
    const auto stage = fmt::format("block {}/{} {}", index + 1, plan.blocks.size(), block.name);
    report = tune_block(sim, job, stage, options);
  }
  walk.leave(index);
  KeptMemory::give_back();
  return report;
}

/// "; folded already, and kept so: a, b", for the message of a failure.
std::string describe_folded(const AdaScaleReport& report) {
  std::vector<std::string> names;
  for (const BlockReport& block : report.blocks) names.push_back(block.name);
  return names.empty() ? "" : fmt::format("; folded already, and kept so: {}", fmt::join(names, ", "));
}

/// Whether torch objects to an operator without an algorithm that sums in one order.
bool is_about_determinism(const c10::Error& error) {
  return std::string(error.what_without_backtrace()).find("deterministic") != std::string::npos;
}

}  // namespace

AdaScaleReport apply_adascale(QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                              const AdaScaleOptions& options) {
  return apply_adascale_to_part(sim, batches, batches, options);
}

AdaScaleReport apply_adascale_to_part(QuantizationSimModel& sim, const std::vector<Inputs>& fp_batches,
                                      const std::vector<Inputs>& quant_batches,
                                      const AdaScaleOptions& options) {
  const auto start = Clock::now();
  const KeptMemory memory;
  const Preflight plan = check_adascale(sim, fp_batches, options);
  ADA_CHECK(fp_batches.size() == quant_batches.size(),
            "apply_adascale: got {} batches of the FP model and {} of the quantized one, expected as many",
            fp_batches.size(), quant_batches.size());
  AdaScaleReport report{.recipe = plan.recipe.name,
                        .device = sim.program().device.str(),
                        .precision = describe_precision(plan.compute_type, sim),
                        .not_trained = plan.not_trained};
  // For the FP streams too: targets are full fp32, whatever torch allows convolutions.
  const FlagScope scope(sim.program().device, {.deterministic = options.deterministic});
  ProgramWalk walk(sim, plan.blocks, fp_batches, quant_batches,
                   ActivationStore(options.activation_memory << 20, plan.memory.on_device),
                   plan.memory.largest_block);
  try {
    for (size_t i = 0; i < plan.blocks.size(); ++i)
      report.blocks.push_back(visit_block(sim, plan, walk, i, options));
  } catch (const Error& error) {  // boundary: names the blocks that a failure leaves folded
    throw Error(error.fault(), error.what() + describe_folded(report));
  } catch (const c10::OutOfMemoryError& error) {  // boundary: the estimates were too low
    fail("{}: {}; give smaller batches, smaller blocks (blocks=) or less device_activation_memory{}",
         plan.blocks[report.blocks.size()].name, first_line(error.what_without_backtrace()),
         describe_folded(report));
  } catch (const c10::Error& error) {  // boundary: likewise, libtorch's pages in one line
    if (options.deterministic && is_about_determinism(error))
      fail("{}: deterministic: {}; leave it out{}", plan.blocks[report.blocks.size()].name,
           first_line(error.what_without_backtrace()), describe_folded(report));
    throw Error(Error::Fault::kInternal,
                first_line(error.what_without_backtrace()) + describe_folded(report));
  }
  give_back_device_memory(sim.program().device);
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace adascale
