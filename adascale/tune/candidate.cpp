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

Losses means_of(const std::vector<double>& losses, const BlockJob& job) {
  const auto held_out = std::lower_bound(job.compared.begin(), job.compared.end(), job.training_batches);
  const size_t training = (held_out - job.compared.begin()) * job.team.size(), all = losses.size();
  Losses found{mean(losses, 0, training), mean(losses, 0, all), std::nullopt};
  if (all > training) found.held_out = mean(losses, training, all);
  return found;
}

Candidate present(const BlockTrainer& trainer, const std::string& name, const Losses& losses) {
  Candidate now{name, {}, losses};
  if (now.is_finite()) now.encodings = trainer.encode();
  return now;
}

}  // namespace

bool Candidate::is_finite() const {
  return std::isfinite(losses.over_all);
}

Candidate measure_round_to_nearest(BlockTrainer& trainer, const BlockJob& job) {
  std::vector<Encoding> encodings;
  std::vector<at::Tensor> weights;
  for (const int32_t weight : job.weights) {
    encodings.push_back(job.sim.weight_encoding(weight));
    weights.push_back(dequantize(on(encodings.back(), job.sim.program().device)));
  }
  Candidate rtn{"round-to-nearest", std::move(encodings), means_of(trainer.losses_of(weights), job)};
  ADA_CHECK(rtn.is_finite(), "{}: its output is not finite before training; mend the model or the data",
            job.block.name);
  return rtn;
}

Candidate measure_start(BlockTrainer& trainer, const BlockJob& job) {
  return present(trainer, "the clip search", means_of(trainer.losses_of(trainer.quantized_weights()), job));
}

Candidate run_trained(BlockTrainer& trainer, const BlockJob& job) {
  return present(trainer, "trained", means_of(trainer.run_stream(trainer.quantized_weights()), job));
}

}  // namespace adascale
