#include "adascale/tune/candidate.h"

#include <cmath>
#include <numeric>

#include "adascale/core/error.h"

namespace adascale {
namespace {

double mean(const std::vector<double>& values, size_t first, size_t last) {
  return std::accumulate(values.begin() + first, values.begin() + last, 0.0) /
         static_cast<double>(last - first);
}

Losses measure(BlockTrainer& trainer, const BlockJob& job, const std::vector<at::Tensor>& weights) {
  const std::vector<double> losses = trainer.measure(weights);
  const auto training = static_cast<size_t>(job.training_batches * job.team.size()), all = losses.size();
  Losses found{mean(losses, 0, training), mean(losses, 0, all), std::nullopt};
  if (all > training) found.held_out = mean(losses, training, all);
  return found;
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
  Candidate rtn{"round-to-nearest", std::move(encodings), measure(trainer, job, weights)};
  ADA_CHECK(rtn.is_finite(), "{}: its output is not finite before training; mend the model or the data",
            job.block.name);
  return rtn;
}

Candidate measure_present(const std::string& name, BlockTrainer& trainer, const BlockJob& job) {
  Candidate now{name, {}, measure(trainer, job, trainer.quantized_weights())};
  if (now.is_finite()) now.encodings = trainer.encode();
  return now;
}

}  // namespace adascale
