#include "adascale/formats/format.h"
#include "adascale/formats/metadata.h"
#include "adascale/formats/saved_state.h"
#include "adascale/io/pt2.h"

namespace adascale {
namespace {

std::unordered_map<std::string, at::Tensor> weights_on_grid(const QuantizationSimModel& sim) {
  std::unordered_map<std::string, at::Tensor> weights;
  for (const SavedTensor& saved : saved_state(sim)) {
    if (saved.weight == kNone) continue;
    const at::Tensor values = values_of(sim, saved);
    for (const std::string& name : saved.names) weights.emplace(name, values);
  }
  return weights;
}

/// The operator and arguments of fake_quantize_activation, so that both compute the same bits.
InsertedNode fake_quantize_node(const ActivationQuantizer& quantizer) {
  const Grid grid{.bits = quantizer.bits, .symmetric = quantizer.symmetric};
  return {quantizer.value,
          "torch.ops.aten.fake_quantize_per_tensor_affine.default",
          {{"scale", quantizer.encoding->scale},
           {"zero_point", -quantizer.encoding->offset},
           {"quant_min", grid.qmin()},
           {"quant_max", grid.qmax()}}};
}

std::string pt2_file_of(const ExportRequest& request) {
  return request.prefix + ".pt2";
}

void write_pt2_file(const ExportRequest& request, StagedFiles& files) {
  std::vector<InsertedNode> nodes;
  for (const ActivationQuantizer& quantizer : request.sim.activations())
    if (quantizer.encoding) nodes.push_back(fake_quantize_node(quantizer));
  save_program(request.sim.program(), files.path(pt2_file_of(request)), weights_on_grid(request.sim), nodes,
               producer_metadata(request));
}

}  // namespace

ExportFormat pt2_format() {
  return {.name = "pt2",
          .description = "the program with weights on their grid and fake-quantize nodes for activations",
          .files = {"PREFIX.pt2"},
          .holds_activations = true,
          .prepare = [](const ExportRequest& request) {
            return PreparedFormat{.files = {pt2_file_of(request)}, .write = write_pt2_file};
          }};
}

}  // namespace adascale
