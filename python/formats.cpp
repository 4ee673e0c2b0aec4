#include "formats.h"

#include <pybind11/stl.h>

#include <set>

#include "adascale/formats/metadata.h"
#include "adascale/formats/saved_state.h"
#include "adascale/io/pt2.h"
#include "adascale/quant/forms/form.h"
#include "adascale/run/evaluation.h"
#include "callbacks.h"

namespace adascale::python {
namespace {

py::object quantized_class(const char* name) {
  return py::module_::import("adascale.formats.quantized").attr(name);
}

py::object weight_of(const QuantizationSimModel& sim, const SavedTensor& saved, int32_t index) {
  const QuantizedWeight& weight = sim.weights()[saved.weight];
  const Grid& grid = weight.grid;
  const at::Tensor parameter = sim.program().state.at(saved.names.front());
  return quantized_class("Weight")(
      py::arg("names") = saved.names, py::arg("layer") = weight.layer.name,
      py::arg("shape") = parameter.sizes().vec(), py::arg("dtype") = parameter.scalar_type(),
      py::arg("bits") = grid.bits, py::arg("symmetric") = grid.symmetric,
      py::arg("scaled_axes") = grid.scaled_axes(), py::arg("group_axis") = grid.group_axis,
      py::arg("group_size") = grid.group_size,
      py::arg("is_affine") = (grid.is_plain() || grid.form == lpbq_form()), py::arg("index") = index);
}

/// Their indices count through all simulations.
py::list weights_of(const ModelToWrite& model) {
  py::list weights;
  int32_t first = 0;
  for (const QuantizationSimModel* sim : model.sims) {
    for (const SavedTensor& saved : saved_state(*sim))
      if (saved.weight != kNone) weights.append(weight_of(*sim, saved, first + saved.weight));
    first += static_cast<int32_t>(sim->weights().size());
  }
  return weights;
}

void add_activations(const QuantizationSimModel& sim, py::list& activations) {
  for (const ActivationQuantizer& quantizer : sim.activations()) {
    const Grid grid{.bits = quantizer.bits, .symmetric = quantizer.symmetric};
    const auto& kept = quantizer.encoding;
    activations.append(quantized_class("Activation")(
        py::arg("value") = sim.program().values[quantizer.value].name, py::arg("bits") = quantizer.bits,
        py::arg("symmetric") = quantizer.symmetric, py::arg("qmin") = grid.qmin(),
        py::arg("qmax") = grid.qmax(), py::arg("scale") = kept ? py::cast(kept->scale) : py::none(),
        py::arg("offset") = kept ? py::cast(kept->offset) : py::none()));
  }
}

py::list activations_of(const ModelToWrite& model) {
  py::list activations;
  for (const QuantizationSimModel* sim : model.sims) add_activations(*sim, activations);
  return activations;
}

/// The program with a visible node after each activation that has a quantizer; the node's zero
/// point is the quantizer's index.
py::bytes marked_graph(const QuantizationSimModel& sim) {
  std::vector<InsertedNode> markers;
  for (const ActivationQuantizer& quantizer : sim.activations())
    markers.push_back({quantizer.value,
                       "torch.ops.aten.fake_quantize_per_tensor_affine.default",
                       {{"scale", 1.0},
                        {"zero_point", static_cast<int64_t>(markers.size())},
                        {"quant_min", int64_t{0}},
                        {"quant_max", int64_t{1}}}});
  return program_json(sim.program(), markers);
}

/// Copies on the CPU, as the graph requires; tied tensors stay tied.
class HostCopies {
 public:
  at::Tensor of(const at::Tensor& tensor) {
    if (tensor.is_cpu()) return tensor.detach();
    for (const auto& [own, copy] : copies_)
      if (own.const_data_ptr() == tensor.const_data_ptr() && own.sizes() == tensor.sizes()) return copy;
    return copies_.emplace_back(tensor, tensor.detach().cpu()).second;
  }

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> copies_;
};

/// Parameters, buffers and constants by every name, as the model has them.
py::dict given_tensors(const QuantizationSimModel& sim) {
  py::dict tensors;
  HostCopies host;
  for (const auto& [name, tensor] : sim.program().state) tensors[py::str(name)] = host.of(tensor);
  return tensors;
}

/// The same with quantized weights on their grid.
py::dict tensors_of(const QuantizationSimModel& sim) {
  py::dict tensors = given_tensors(sim);
  for (const SavedTensor& saved : saved_state(sim))
    for (const std::string& name : saved.names)
      if (saved.weight != kNone) tensors[py::str(name)] = values_of(sim, saved);
  return tensors;
}

py::object encode(const ModelToWrite& model, size_t weight) {
  auto sim = model.sims.begin();
  for (; weight >= (*sim)->weights().size(); ++sim) weight -= (*sim)->weights().size();
  const Encoding encoding = (*sim)->weight_encoding(static_cast<int32_t>(weight));
  return quantized_class("Encoding")(encoding.codes, encoding.scale, encoding.offset);
}

/// Names of the tensors that changed, tied ones together, with functions that make their values if asked for:
/// the quantized weights, and the weights and norms of folded batch norms.
py::list changed_tensors(const ModelToWrite& model, bool with_values) {
  py::list tensors;
  std::set<std::string> seen;
  const auto add = [&](const std::vector<std::string>& names, const std::function<at::Tensor()>& value) {
    tensors.append(with_values ? py::object(py::make_tuple(names, py::cpp_function(value)))
                               : py::object(py::cast(names)));
    seen.insert(names.begin(), names.end());
  };
  for (const SavedValue& saved : saved_values(model))
    if (saved.is_quantized) add(saved.names, saved.value);
  for (const QuantizationSimModel* sim : model.sims)
    for (const FoldedBatchNorm& folded : sim->program().folded_batch_norms)
      for (const auto& [name, value] : folded.source_state)
        if (!seen.contains(name)) add({name}, [value] { return value.detach(); });
  return tensors;
}

/// Its content is the sim's present state; its functions keep `request` only during the call.
py::object to_quantized_model(const ExportRequest& request) {
  const QuantizationSimModel& sim = request.sim;
  const ModelToWrite& model = request.model;
  return quantized_class("QuantizedModel")(
      py::arg("folder") = request.folder, py::arg("prefix") = request.prefix,
      py::arg("target") = request.target, py::arg("weights") = weights_of(model),
      py::arg("activations") = activations_of(model), py::arg("outputs") = names_of(sim.program()).outputs,
      py::arg("texts") = request.options.texts, py::arg("metadata") = producer_metadata(request),
      py::arg("graph") = py::cpp_function([&sim] { return marked_graph(sim); }),
      py::arg("given_tensors") = py::cpp_function([&sim] { return given_tensors(sim); }),
      py::arg("tensors") = py::cpp_function([&sim] { return tensors_of(sim); }),
      py::arg("encode") = py::cpp_function([&model](size_t weight) { return encode(model, weight); }),
      py::arg("changed") = changed_tensors(model, false),
      py::arg("changed_values") = py::cpp_function([&model] { return changed_tensors(model, true); }));
}

/// Calls Python's function with the model and the place of each file.
template <class Files, class Place>
std::function<void(const ExportRequest&, Files&)> with_places(const py::object& function, Place place) {
  if (function.is_none()) return {};
  return [held = share(function), place](const ExportRequest& request, Files& files) {
    in_python([&] {
      const py::cpp_function path([&](const std::string& name) { return (files.*place)(name); });
      (*held)(to_quantized_model(request), path);
    });
  };
}

PreparedFormat to_prepared(const py::object& answer) {
  using Texts = std::vector<std::string>;
  return {.objections = answer.attr("objections").cast<Texts>(),
          .notes = answer.attr("notes").cast<Texts>(),
          .files = answer.attr("files").cast<Texts>(),
          .write = with_places<StagedFiles>(answer.attr("write"), &StagedFiles::path),
          .read_back = with_places<const StagedFiles>(answer.attr("read_back"), &StagedFiles::aside)};
}

}  // namespace

Prepare to_prepare(const py::object& object) {
  return [held = share(object)](const ExportRequest& request) {
    return in_python([&] { return to_prepared(held->attr("prepare")(to_quantized_model(request))); });
  };
}

void add_formats(const std::vector<py::object>& formats) {
  for (const py::object& format : formats)
    add_export_format(
        {.name = format.attr("name").cast<std::string>(),
         .description = format.attr("description").cast<std::string>(),
         .files = format.attr("files").cast<std::vector<std::string>>(),
         .how_to_load = format.attr("how_to_load").cast<std::string>(),
         .targets = format.attr("targets").cast<std::vector<std::string>>(),
         .weights_as = format.attr("packs_codes").cast<bool>() ? WeightsAs::kCodes : WeightsAs::kValues,
         .widths = format.attr("widths").cast<std::vector<int>>(),
         .is_folder = false,
         .holds_activations = format.attr("holds_activations").cast<bool>(),
         .holds_signed_scales = format.attr("holds_signed_scales").cast<bool>(),
         .prepare = to_prepare(format)});
}

}  // namespace adascale::python
