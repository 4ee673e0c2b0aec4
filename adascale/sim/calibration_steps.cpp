#include "adascale/sim/calibration_steps.h"

#include <ATen/core/grad_mode.h>

#include "adascale/core/error.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/sim/quantsim_body.h"

namespace adascale {

namespace {

/// A copy of the model's weights is what the end makes, unless it folds in place or on demand: then some of them.
int64_t bytes_to_keep(const Program& program, const SimOptions& options) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : program.state) bytes += static_cast<int64_t>(tensor.nbytes());
  return options.in_place || options.on_demand ? bytes / 4 : bytes;
}

}  // namespace

CalibrationSteps::CalibrationSteps(QuantizationSimModel& sim) : sim_(sim) {}

void CalibrationSteps::begin() {
  QuantizationSimModel::Body& body = *sim_.body_;
  ADA_CHECK(!body.recorded, "compute_encodings: called while a forward function is being recorded");
  ADA_CHECK(!body.calibration, "compute_encodings: called within another compute_encodings");
  const RangeScheme& scheme = range_scheme(to_string(body.options.quant_scheme));
  body.calibration = std::make_unique<Calibration>(
      body.program, body.activations.size(), scheme.make_analyzer, bytes_to_keep(body.program, body.options));
}

int64_t CalibrationSteps::calls() const {
  const auto& calibration = sim_.body_->calibration;
  return calibration ? calibration->calls() : 0;
}

// All that may fail comes first: after an exception the sim is as before. In place, the values of all
// weights at once would be a second copy of the model, so that each is made when it is put there.
void CalibrationSteps::end() {
  using Folding = QuantizationSimModel::Body::Folding;
  const at::NoGradGuard no_grad;
  QuantizationSimModel::Body& body = *sim_.body_;
  ADA_CHECK(body.calibration, "compute_encodings: end without begin");
  std::vector<ActivationQuantizer> activations = body.calibration->finish(body.activations);
  body.calibration->forget_weights();
  std::vector<Folding> rest;
  for (int32_t i = 0; i < static_cast<int32_t>(body.weights.size()); ++i) {
    if (body.weights[i].encoding) continue;
    rest.push_back({i, sim_.weight_encoding(i), {}});
    if (!body.options.in_place && !body.options.on_demand)
      rest.back().values = body.values_of(i, rest.back().encoding);
  }
  for (Folding& folding : rest) {
    if (body.options.in_place) folding.values = body.values_of(folding.weight, folding.encoding);
    body.put(std::move(folding), /*trained=*/false);
  }
  body.activations = std::move(activations);
  body.calibrated = true;
  body.calibration.reset();
}

void CalibrationSteps::abort() {
  sim_.body_->calibration.reset();
}

}  // namespace adascale
