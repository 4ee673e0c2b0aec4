#include "adascale/tune/tune_block.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include <optional>

#include "adascale/tune/run_progress.h"

namespace adascale {
namespace {

/// The better one of round-to-nearest and of the range the training starts from.
Candidate choose_before(const Candidate& rtn, BlockTrainer& trainer, const BlockJob& job) {
  if (job.recipe.start == StartRange::kScheme || !job.recipe.trains()) return rtn;
  Candidate start = measure_start(trainer, job);
  return start.no_worse_than(rtn) ? start : rtn;
}

std::string name_of_pass(double step_length) {
  return step_length == 1 ? kTraining : fmt::format("{}, {} of the step", kTraining, step_length);
}

/// Trains with the recipe's steps. If that ends worse than it began and the recipe says so, trains
/// anew with shorter ones: a block of few weights or little data can need them. `trainer` is then
/// the last attempt's, `tuned.trained` the best one's result.
void train(std::optional<BlockTrainer>& trainer, BlockJob job, TunedBlock& tuned) {
  constexpr double kShorter = 0.25;
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    LossCurve curve = trainer->train(name_of_pass(tuned.step_length));
    tuned.exchanged = trainer->exchanged();
    Candidate now = run_trained(*trainer, job);
    tuned.trained_ran_last = attempt == 0 || (now.is_finite() && now.better_than(tuned.trained));
    if (tuned.trained_ran_last) tuned.trained = std::move(now), tuned.curve = std::move(curve);
    const bool helped = tuned.trained.is_finite() && tuned.trained.no_worse_than(tuned.before);
    if (helped || !job.recipe.shortens_steps || attempt + 1 == kAttempts) return;
    job.recipe.scale_rate *= kShorter;
    job.recipe.rounding_rate *= kShorter;
    tuned.step_length *= kShorter;
    trainer.reset();  // before the next one takes as much memory
    trainer.emplace(job);
  }
}

/// Explains an unusual report; empty when the training helped and was kept.
std::string explain_choice(const TunedBlock& tuned) {
  const Candidate &trained = tuned.trained, &before = tuned.before;
  if (!trained.is_finite()) return fmt::format("training diverged; {} stays", before.name);
  const bool shortened = tuned.step_length != 1;
  if (trained.no_worse_than(before))
    return shortened ? fmt::format("with steps {} times as long; longer ones did not help", tuned.step_length)
                     : "";
  const std::string tried =
      shortened ? fmt::format(", nor with steps {} times as long", tuned.step_length) : "";
  return tuned.keeps_trained ? fmt::format("training did not help{} and is kept all the same; {} was better",
                                           tried, before.name)
                             : fmt::format("training did not help{}; {} stays", tried, before.name);
}

LayerReport report_layer(const QuantizationSimModel& sim, const QuantizedWeight& weight, const Encoding& rtn,
                         const Encoding& kept) {
  const double moved = rtn.codes.ne(kept.codes).sum().item<double>() / static_cast<double>(rtn.codes.numel());
  return {.name = weight.layer.name,
          .grid = to_string(kept.grid),
          .sqnr_rtn_db = rtn.sqnr_db,
          .sqnr_db = kept.sqnr_db,
          .codes_moved = moved,
          .weights = histogram_of(sim.state(weight.layer.parameters.front())),
          .codes = counts_of(kept)};
}

}  // namespace

TunedBlock tune_block(const BlockJob& job, bool keep_better) {
  std::optional<BlockTrainer> trainer(job);
  TunedBlock tuned;
  tuned.rtn = measure_round_to_nearest(*trainer, job);
  tuned.before = choose_before(tuned.rtn, *trainer, job);
  train(trainer, job, tuned);
  tuned.keeps_trained =
      tuned.trained.is_finite() && (!keep_better || tuned.trained.no_worse_than(tuned.before));
  if (!tuned.keeps_trained) check_on_all(tuned.before, *trainer, job);
  return tuned;
}

void run_as_trained(BlockJob job, const std::vector<Encoding>& encodings) {
  std::vector<at::Tensor> weights;
  for (size_t i = 0; i < encodings.size(); ++i) {
    job.start.push_back(job.sim.weights()[job.weights[i]].range);
    weights.push_back(dequantize(on(encodings[i], job.sim.program().device)));
  }
  BlockTrainer(std::move(job)).run_stream(weights);
}

BlockReport report_block(const BlockJob& job, const TunedBlock& tuned) {
  BlockReport report{.name = job.block.name,
                     .loss_before = tuned.rtn.losses.training,
                     .loss_after = tuned.trained.losses.training,
                     .held_out_before = tuned.rtn.losses.held_out,
                     .held_out_after = tuned.trained.losses.held_out,
                     .iterations = job.iterations,
                     .curve = tuned.curve,
                     .step_length = tuned.step_length,
                     .kept = tuned.keeps_trained,
                     .diverged = !tuned.trained.is_finite(),
                     .note = explain_choice(tuned)};
  const std::vector<Encoding>&rtn = tuned.rtn.encodings, &kept = tuned.kept().encodings;
  for (size_t i = 0; i < kept.size(); ++i)
    report.layers.push_back(report_layer(job.sim, job.sim.weights()[job.weights[i]], rtn[i], kept[i]));
  return report;
}

}  // namespace adascale
