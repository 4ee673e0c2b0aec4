#include "adascale/sim/quantsim.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/quant/round_to_nearest.h"
#include "adascale/sim/calibration_steps.h"
#include "adascale/sim/describe.h"
#include "adascale/sim/quantsim_body.h"
#include "adascale/sim/recorder.h"

namespace adascale {

QuantizationSimModel::QuantizationSimModel(Program program, SimOptions options)
    : body_(std::make_unique<Body>(std::move(program), std::move(options))) {}
QuantizationSimModel::~QuantizationSimModel() = default;
QuantizationSimModel::QuantizationSimModel(QuantizationSimModel&&) noexcept = default;

const Program& QuantizationSimModel::program() const {
  return body_->program;
}
const SimOptions& QuantizationSimModel::options() const {
  return body_->options;
}
const std::vector<QuantizedWeight>& QuantizationSimModel::weights() const {
  return body_->weights;
}
const std::vector<ActivationQuantizer>& QuantizationSimModel::activations() const {
  return body_->activations;
}
const Unquantized& QuantizationSimModel::unquantized() const {
  return body_->unquantized;
}
const std::map<std::string, std::string>& QuantizationSimModel::training() const {
  return body_->training;
}
int32_t QuantizationSimModel::weight_of(ValueId parameter) const {
  return body_->weight_by_value[parameter];
}
bool QuantizationSimModel::is_calibrated() const {
  if (body_->calibrated) return true;
  const auto& activations = body_->activations;
  const auto is_decided = [](const ActivationQuantizer& quantizer) {
    return quantizer.encoding || !quantizer.off_reason.empty();
  };
  return !activations.empty() && std::all_of(activations.begin(), activations.end(), is_decided);
}
std::string QuantizationSimModel::describe() const {
  return describe_sim(*this);
}

Outputs QuantizationSimModel::run(const Inputs& inputs, SimMode mode) const {
  RunHooks hooks;
  hooks.load_state = [this, mode](ValueId value) { return load_state(value, mode); };
  if (mode == SimMode::kSimulate) {
    check_no_nan(body_->program, inputs);
    hooks.transform = [this](ValueId value, const at::Tensor& x) {
      return body_->simulate_activation(value, x);
    };
  }
  return body_->run(inputs, hooks);
}

Outputs QuantizationSimModel::call(const Inputs& inputs) {
  Body& body = *body_;
  if (body.recorded) {
    check_inputs(body.program, inputs);
    body.recorded->push_back(copy_to_host(inputs));
    throw ForwardRecorded{};
  }
  if (!body.calibration) return run(inputs);
  body.calibration->count_call();
  RunHooks hooks;
  hooks.load_state = [this, &body](ValueId value) {
    const int32_t weight = body.weight_by_value[value];
    if (weight == kNone || body.weights[weight].encoding) return load_state(value, SimMode::kWeightsOnly);
    // Kept where the parameter is: there is room for it there.
    const c10::Device device = body.program.state.at(body.weights[weight].layer.parameters.front()).device();
    return body.calibration->weight(weight, [&] { return dequantized_weight(weight).to(device); });
  };
  hooks.transform = [&body](ValueId value, const at::Tensor& x) {
    const int32_t index = body.activation_by_value[value];
    if (index != kNone) body.calibration->observe(index, body.activations[index], x);
    return x;
  };
  return body.run(inputs, hooks);
}

Outputs QuantizationSimModel::operator()(const std::vector<at::Tensor>& tensors) {
  return call(bind_inputs(program(), tensors));
}
Outputs QuantizationSimModel::operator()(const std::map<std::string, at::Tensor>& tensors) {
  return call(bind_inputs(program(), tensors));
}
Outputs QuantizationSimModel::operator()(const at::Tensor& tensor) {
  return call(bind_inputs(program(), std::vector<at::Tensor>{tensor}));
}

void QuantizationSimModel::compute_encodings(const std::function<void(QuantizationSimModel&)>& forward_pass) {
  CalibrationSteps steps(*this);
  steps.begin();
  try {
    forward_pass(*this);
    steps.end();
  } catch (...) {  // boundary: the sim is as before, the caller's exception goes on
    steps.abort();
    throw;
  }
}

at::Tensor QuantizationSimModel::state(const std::string& name) const {
  if (const auto found = body_->on_demand.find(name); found != body_->on_demand.end()) {
    const at::NoGradGuard no_grad;
    return body_->values_of(found->second, *body_->weights[found->second].encoding);
  }
  const auto folded = body_->folded.find(name);
  return folded == body_->folded.end() ? body_->program.state.at(name) : folded->second;
}

at::Tensor QuantizationSimModel::load_state(ValueId value, SimMode mode) const {
  const ProgramInput* input = body_->program.input_of(value);
  if (mode == SimMode::kFloat) return body_->program.state.at(input->name).detach();
  const int32_t weight = body_->weight_by_value[value];
  return weight == kNone ? state(input->name).detach() : dequantized_weight(weight);
}

at::Tensor QuantizationSimModel::dequantized_weight(int32_t index) const {
  const QuantizedWeight& weight = body_->weights[index];
  const std::string& name = weight.layer.parameters.front();
  const at::NoGradGuard no_grad;
  if (body_->on_demand.contains(name)) return dequantize(on(*weight.encoding, program().device));
  if (weight.encoding) return state(name).detach();
  ADA_ASSERT(body_->options.reads_weights, "a weight without a range");
  const at::Tensor w = state(name).detach().to(program().device);
  return round_to_nearest(w, weight.grid, weight.range);
}

Encoding QuantizationSimModel::weight_encoding(int32_t index) const {
  const QuantizedWeight& weight = body_->weights[index];
  if (weight.encoding) return *weight.encoding;
  ADA_ASSERT(body_->options.reads_weights, "a weight without a range");
  const std::string& name = weight.layer.parameters.front();
  return encode_rtn(name, state(name).detach().to(program().device), weight.grid, weight.range);
}

void QuantizationSimModel::check_unchanged() const {
  body_->check_versions();
}

}  // namespace adascale
