#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>

#include <optional>
#include <set>

#include "adascale/formats/encodings/record.h"
#include "adascale/quant/forms/lpbq.h"
#include "adascale/sim/number_flow.h"

namespace adascale {
namespace {

/// The scale of a value's encoding, or of the encoding of the value whose numbers it holds.
std::optional<double> scale_of_value(const QuantizationSimModel& sim, const NumberFlow& flow, ValueId value) {
  for (; value != kNone; value = flow.moved_from(value))
    for (const ActivationQuantizer& quantizer : sim.activations())
      if (quantizer.value == value && quantizer.encoding) return quantizer.encoding->scale;
  return std::nullopt;
}

ValueId value_of(const Node& node, const std::string& argument) {
  const Argument* found = argument.empty() ? nullptr : node.input(argument);
  return found && found->kind == Argument::Kind::kValue ? found->value : kNone;
}

/// addmm(bias, x, W) calls its bias "self".
ValueId bias_of(const Node& node) {
  return value_of(node, node.op().starts_with("aten::addmm") ? "self" : "bias");
}

/// [channels], or [] per tensor; nothing where a channel has no single scale of its own.
std::optional<at::Tensor> scale_of_channels(const Encoding& encoding) {
  const Grid& grid = encoding.grid;
  if (!grid.per_channel()) return encoding.scale.reshape({}).to(at::kFloat);
  if (!grid.stack_axes.empty()) return std::nullopt;
  const auto axis = split_axes({grid.channel_axis}, grid).front();
  const at::Tensor& scale = grid.form == lpbq_form() ? encoding.parts.at(kChannelScale) : encoding.scale;
  return scale.to(at::kFloat).movedim(axis, 0).flatten(1).amax({1});
}

/// A bias beyond the integers would be clipped; without an entry the converter chooses the scale.
bool holds(const at::Tensor& scale, const at::Tensor& bias) {
  const double largest = static_cast<double>((int64_t{1} << (kBiasBits - 1)) - 1);
  return ((bias.detach().to(at::kDouble) / scale).abs() <= largest).all().item<bool>();
}

}  // namespace

std::vector<EncodingRecord> bias_records(const QuantizationSimModel& sim) {
  const Program& program = sim.program();
  const NumberFlow flow(program);
  std::vector<EncodingRecord> records;
  std::set<ValueId> seen;
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const Layer& layer = sim.weights()[i].layer;
    std::optional<at::Tensor> channels;
    for (const NodeId id : layer.alike) {
      const Node& node = program.nodes[id];
      const ValueId bias = bias_of(node);
      if (bias == kNone || !program.is_parameter(bias) || seen.contains(bias)) continue;
      const auto input = scale_of_value(sim, flow, value_of(node, layer.kind->input));
      if (!channels) channels = scale_of_channels(sim.weight_encoding(static_cast<int32_t>(i)));
      const std::string& name = program.input_of(bias)->name;
      const bool fits = channels && (channels->dim() == 0 || channels->sizes() == sim.state(name).sizes());
      if (!input || !fits) continue;
      EncodingRecord record{.name = name, .bits = kBiasBits, .symmetric = true, .is_signed = true};
      record.scale = *channels * static_cast<float>(*input);
      if (!holds(record.scale, sim.state(name).cpu())) continue;
      seen.insert(bias);
      record.lowest = at::full_like(record.scale, -(int64_t{1} << (kBiasBits - 1)), at::kLong);
      record.channel_axis = channels->dim() - 1;
      records.push_back(std::move(record));
    }
  }
  return records;
}

}  // namespace adascale
