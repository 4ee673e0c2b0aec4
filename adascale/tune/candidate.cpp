#include "adascale/tune/candidate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "adascale/core/error.h"

namespace adascale {
namespace {

double mean(const std::vector<double>& values, size_t first, size_t last) {
  return std::accumulate(values.begin() + first, values.begin() + last, 0.0) /
         static_cast<double>(last - first);
}

bool all_finite(const std::vector<double>& losses) {
  return std::all_of(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); });
}

/// `losses`: by batch compared.
Losses means_of(const std::vector<double>& losses, const BlockJob& job) {
  const int64_t size = job.team.size(), trained = job.training_batches * size,
                all = job.source.batches() * size;
  const auto first_held_out = std::lower_bound(job.compared.begin(), job.compared.end(), trained);
  const auto training = static_cast<size_t>(first_held_out - job.compared.begin());
  Losses found{.training = mean(losses, 0, training), .finite = all_finite(losses)};
  found.over_all = found.training;
  if (losses.size() == training) return found;
  found.held_out = mean(losses, training, losses.size());
  const double share = static_cast<double>(trained) / static_cast<double>(all);
  found.over_all = share * found.training + (1 - share) * *found.held_out;
  return found;
}

/// `losses`: by batch.
Losses means_of_compared(const std::vector<double>& losses, const BlockJob& job) {
  std::vector<double> compared;
  for (const int64_t batch : job.compared) compared.push_back(losses[batch]);
  Losses found = means_of(compared, job);
  found.finite = all_finite(losses);  // on those not compared too
  return found;
}

void expect_finite(bool finite, const BlockJob& job) {
  ADA_CHECK(finite, "{}: its output is not finite before training; mend the model or the data",
            job.block.name);
}

at::Tensor weight_of(const Encoding& encoding, const BlockJob& job) {
  return dequantize(on(encoding, job.sim.program().device));
}

Candidate present(const BlockTrainer& trainer, const std::string& name, const Losses& losses) {
  Candidate now{name, {}, losses};
  if (now.is_finite()) now.encodings = trainer.encode();
  return now;
}

}  // namespace

Candidate measure_round_to_nearest(BlockTrainer& trainer, const BlockJob& job) {
  std::vector<Encoding> encodings;
  std::vector<at::Tensor> weights;
  for (const int32_t weight : job.weights) {
    encodings.push_back(job.sim.weight_encoding(weight));
    weights.push_back(weight_of(encodings.back(), job));
  }
  Candidate rtn{"round-to-nearest", std::move(encodings), means_of(trainer.losses_of(weights), job)};
  expect_finite(rtn.is_finite(), job);
  return rtn;
}

Candidate measure_start(BlockTrainer& trainer, const BlockJob& job) {
  return present(trainer, "the clip search", means_of(trainer.losses_of(trainer.quantized_weights()), job));
}

void check_on_all(const Candidate& candidate, BlockTrainer& trainer, const BlockJob& job) {
  std::vector<at::Tensor> weights;
  for (const Encoding& encoding : candidate.encodings) weights.push_back(weight_of(encoding, job));
  expect_finite(all_finite(trainer.run_stream(weights)), job);
}

Candidate run_trained(BlockTrainer& trainer, const BlockJob& job) {
  return present(trainer, "trained", means_of_compared(trainer.run_stream(trainer.quantized_weights()), job));
}

}  // namespace adascale
