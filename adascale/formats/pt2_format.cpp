#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adascale/formats/format.h"
#include "adascale/formats/metadata.h"
#include "adascale/formats/read_back.h"
#include "adascale/formats/saved_state.h"
#include "adascale/io/archive.h"
#include "adascale/io/pt2.h"

namespace adascale {
namespace {

NewTensors weights_on_grid(const QuantizationSimModel& sim) {
  NewTensors weights;
  for (const SavedTensor& saved : saved_state(sim)) {
    if (saved.weight == kNone) continue;
    for (const std::string& name : saved.names)
      weights.emplace(name, [&sim, saved] { return values_of(sim, saved); });
  }
  return weights;
}

constexpr const char* kFakeQuantize = "torch.ops.aten.fake_quantize_per_tensor_affine.default";

/// The operator and arguments of fake_quantize_activation, so that both compute the same bits.
InsertedNode fake_quantize_node(const ActivationQuantizer& quantizer) {
  const Grid grid{.bits = quantizer.bits, .symmetric = quantizer.symmetric};
  return {quantizer.value,
          kFakeQuantize,
          {{"scale", quantizer.encoding->scale},
           {"zero_point", -quantizer.encoding->offset},
           {"quant_min", grid.qmin()},
           {"quant_max", grid.qmax()}}};
}

std::string pt2_file_of(const ExportRequest& request) {
  return request.prefix + ".pt2";
}

std::vector<InsertedNode> fake_quantize_nodes(const QuantizationSimModel& sim) {
  std::vector<InsertedNode> nodes;
  for (const ActivationQuantizer& quantizer : sim.activations())
    if (quantizer.encoding) nodes.push_back(fake_quantize_node(quantizer));
  return nodes;
}

void write_pt2_file(const ExportRequest& request, StagedFiles& files) {
  save_program(request.sim.program(), files.path(pt2_file_of(request)), weights_on_grid(request.sim),
               fake_quantize_nodes(request.sim), producer_metadata(request));
}

void expect_state(const std::string& path, const Program& read, const QuantizationSimModel& sim) {
  const Program& program = sim.program();
  const auto weights = weights_on_grid(sim);
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : read.state) tensors.push_back({name, tensor.detach()});
  HeldTensors held(path, tensors);
  for (const ProgramInput& input : program.inputs)
    if (input.kind != ProgramInput::Kind::kUser)
      held.expect(input.name, tensor_to_save(program, weights, input.name));
  held.expect_no_more();
}

/// Scale, zero point and ends of each fake-quantize node, sorted.
using Ranges = std::vector<std::vector<double>>;

Ranges ranges_in(const Program& read) {
  Ranges ranges;
  for (const Node& node : read.nodes) {
    if (node.target != kFakeQuantize) continue;
    ranges.emplace_back();
    for (const NamedArgument& operand : node.inputs)
      if (operand.argument.kind == Argument::Kind::kLiteral)
        ranges.back().push_back(operand.argument.literal.toScalar().toDouble());
  }
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

Ranges ranges_of(const QuantizationSimModel& sim) {
  Ranges ranges;
  for (const InsertedNode& node : fake_quantize_nodes(sim)) {
    ranges.emplace_back();
    for (const auto& [name, value] : node.arguments) ranges.back().push_back(value.toScalar().toDouble());
  }
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

void expect_ranges(const std::string& path, const Ranges& got, const Ranges& expected) {
  ADA_CHECK(got.size() == expected.size(), "{}: got {} fake-quantize nodes, expected {}", path, got.size(),
            expected.size());
  const auto [one, other] = std::mismatch(got.begin(), got.end(), expected.begin());
  ADA_CHECK(one == got.end(), "{}: got a fake-quantize node of {}, expected one of {}", path,
            fmt::join(*one, ", "), fmt::join(*other, ", "));
}

void read_back_pt2_file(const ExportRequest& request, const StagedFiles& files) {
  const std::string& path = files.aside(pt2_file_of(request));
  const QuantizationSimModel& sim = request.sim;
  Archive archive(path, Mapping::kReadOnly);
  ADA_CHECK(archive.text("models/model.json") == program_json(sim.program(), fake_quantize_nodes(sim)),
            "{}: got another graph than was written", path);
  ADA_CHECK(archive.text("extra/adascale.json") == nlohmann::json(producer_metadata(request)).dump(),
            "{}: got other metadata than was written", path);
  const Program read = load_program(path, Mapping::kReadOnly);
  expect_ranges(path, ranges_in(read), ranges_of(sim));
  expect_state(path, read, sim);
}

}  // namespace

ExportFormat pt2_format() {
  return {.name = "pt2",
          .description = "the program with weights on their grid and fake-quantize nodes for activations",
          .files = {"PREFIX.pt2"},
          .how_to_load = "torch.export.load('PREFIX.pt2').module()(x)",
          .holds_activations = true,
          .holds_signed_scales = true,
          .prepare = [](const ExportRequest& request) {
            return PreparedFormat{
                .files = {pt2_file_of(request)}, .write = write_pt2_file, .read_back = read_back_pt2_file};
          }};
}

}  // namespace adascale
