#include "adascale/sim/sim_editor.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "adascale/core/error.h"
#include "adascale/sim/quantsim_body.h"

namespace adascale {

SimEditor::SimEditor(QuantizationSimModel& sim) : sim_(sim) {}

void SimEditor::fold(int32_t index, Encoding encoding, bool trained) {
  const at::NoGradGuard no_grad;
  at::Tensor values;
  if (!sim_.options().on_demand) values = sim_.body_->values_of(index, encoding);
  sim_.body_->put({index, std::move(encoding), std::move(values)}, trained);
}

void SimEditor::move_encoding(int32_t index, Encoding same) {
  QuantizedWeight& weight = sim_.body_->weights[index];
  ADA_ASSERT(weight.encoding && weight.encoding->codes.sizes() == same.codes.sizes(), "another encoding");
  weight.encoding = std::move(same);
}

void SimEditor::set_training(std::map<std::string, std::string> training) {
  sim_.body_->training = std::move(training);
}

at::Tensor SimEditor::source_weight(int32_t index) const {
  const QuantizedWeight& weight = sim_.body_->weights[index];
  const std::string& name = weight.layer.parameters.front();
  ADA_CHECK(!(weight.encoding && sim_.body_->options.in_place),
            "{}: was folded in place, and its weight as it came is gone; make a new simulation", name);
  return sim_.body_->program.state.at(name).detach();
}

void SimEditor::load_weight(int32_t index, Encoding encoding, bool fixed) {
  QuantizedWeight& weight = sim_.body_->weights[index];
  const Grid& grid = encoding.grid;
  const at::Tensor scale = encoding.scale, lowest = encoding.offset + grid.qmin();
  weight.grid = grid;
  weight.range = {scale * lowest, scale * (lowest + grid.steps())};
  fold(index, std::move(encoding), /*trained=*/false);
  weight.loaded = true;
  weight.is_fixed = fixed;
  weight.note.clear();
}

void SimEditor::load_activation(int32_t index, int bits, bool symmetric, const ActivationEncoding& encoding,
                                bool fixed) {
  ActivationQuantizer& quantizer = sim_.body_->activations[index];
  quantizer.bits = bits;
  quantizer.symmetric = symmetric;
  quantizer.encoding = encoding;
  quantizer.off_reason.clear();
  quantizer.is_fixed = fixed;
}

void SimEditor::turn_off_activation(int32_t index, const std::string& reason) {
  sim_.body_->activations[index].encoding.reset();
  sim_.body_->activations[index].off_reason = reason;
  sim_.body_->activations[index].is_fixed = true;
}

void SimEditor::turn_off_weight(int32_t index) {
  ADA_ASSERT(!sim_.body_->weights[index].encoding, "a decided weight cannot be left out");
  sim_.body_->unquantized.excluded.push_back(sim_.body_->weights[index].layer);
  sim_.body_->weights.erase(sim_.body_->weights.begin() + index);
  for (auto& [name, weight] : sim_.body_->on_demand) weight -= weight > index ? 1 : 0;
  if (sim_.body_->calibration) sim_.body_->calibration->forget_weights();
  sim_.body_->index_weights();
}

}  // namespace adascale
