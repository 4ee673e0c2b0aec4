#include "adascale/sim/quantsim_body.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/graph/fold_batch_norms.h"
#include "adascale/graph/tensor_version.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/sim/compute_device.h"
#include "adascale/sim/config.h"
#include "adascale/sim/place_quantizers.h"

namespace adascale {
namespace {

void check_options(const SimOptions& options, Objections& objections) {
  RuleChecker checker(objections);
  visit_sim_options(checker, options);
}

}  // namespace

QuantizationSimModel::Body::Body(Program program_in, SimOptions options_in)
    : program(std::move(program_in)), options(std::move(options_in)) {
  Objections objections;
  check_options(options, objections);
  check_unquantized(program, objections);
  objections.raise();
  program.device = compute_device(program, options.device);
  const SimConfig config =
      options.config_file.empty() ? default_sim_config() : read_sim_config(options.config_file);
  if (options.fold_batch_norms) {
    if (options.in_place) check_folded(program, config, options);
    unquantized.batch_norms = fold_batch_norms(program, options.in_place);
  }
  Placed placed = place_quantizers(program, config, options);
  weights = std::move(placed.weights);
  unquantized.excluded = std::move(placed.excluded);
  unquantized.passed_over = std::move(placed.passed_over);
  activations = std::move(placed.activations);
  interpreter = std::move(placed.interpreter);
  index_quantizers();
  for (const PassedOver& layer : unquantized.passed_over)
    log_line(fmt::format("{}: not quantized: {}", layer.name, layer.reason));
}

void QuantizationSimModel::Body::index_weights() {
  weight_by_value.assign(program.values.size(), kNone);
  for (size_t i = 0; i < weights.size(); ++i) {
    for (const ValueId value : weights[i].layer.weights) weight_by_value[value] = static_cast<int32_t>(i);
  }
}

void QuantizationSimModel::Body::index_quantizers() {
  index_weights();
  activation_by_value.assign(program.values.size(), kNone);
  for (const auto& [name, tensor] : program.state) versions[name] = version_of(tensor);
  for (size_t i = 0; i < activations.size(); ++i)
    activation_by_value[activations[i].value] = static_cast<int32_t>(i);
}

void QuantizationSimModel::Body::check_versions() const {
  for (const auto& [name, tensor] : program.state) {
    if (folded.contains(name) || on_demand.contains(name)) continue;  // the sim has values of its own
    ADA_CHECK(version_of(tensor) == versions.at(name),
              "{}: the tensor was changed after the simulation was made, and they share it; make a new one",
              name);
  }
}

Outputs QuantizationSimModel::Body::run(const Inputs& inputs, const RunHooks& hooks) const {
  const at::NoGradGuard no_grad;
  check_versions();
  check_inputs(program, inputs);
  Environment environment(program);
  feed_inputs(program, inputs, environment, hooks);
  interpreter->run(environment, hooks);
  return collect_outputs(program, environment);
}

at::Tensor QuantizationSimModel::Body::simulate_activation(ValueId value, const at::Tensor& x) const {
  const int32_t index = activation_by_value[value];
  if (index == kNone || !activations[index].encoding) return x;
  const ActivationQuantizer& quantizer = activations[index];
  return fake_quantize_activation(x, quantizer.encoding->scale, quantizer.encoding->offset, quantizer.bits,
                                  quantizer.symmetric);
}

/// The dequantized weight, where the program's own is.
at::Tensor QuantizationSimModel::Body::values_of(int32_t index, const Encoding& encoding) const {
  const at::Tensor& own = program.state.at(weights[index].layer.parameters.front());
  return dequantize(on(encoding, program.device)).to(own.device());
}

// Some names of a tied parameter may be read by no node: torch.export keeps only one in the graph.
void QuantizationSimModel::Body::put(Folding folding, bool trained) {
  QuantizedWeight& weight = weights[folding.weight];
  at::Tensor own = program.state.at(weight.layer.parameters.front()).detach();
  if (options.in_place) own.copy_(folding.values);
  for (const auto& [name, tensor] : program.state) {
    if (tensor.const_data_ptr() != own.const_data_ptr() || tensor.sizes() != own.sizes()) continue;
    if (options.in_place)
      versions[name] = version_of(tensor);
    else if (options.on_demand)
      on_demand[name] = folding.weight;
    else
      folded[name] = folding.values;
  }
  weight.encoding = std::move(folding.encoding);
  weight.trained = trained;
}

}  // namespace adascale
