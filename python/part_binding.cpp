#include <pybind11/stl.h>

#include "adascale/core/error.h"
#include "adascale/formats/encodings/load.h"
#include "adascale/formats/export_parts.h"
#include "adascale/tune/live_inputs.h"
#include "adascale/tune/module_runs.h"
#include "bindings.h"
#include "callbacks.h"
#include "keywords.h"
#include "values.h"

// Models in parts: Python runs them and catches inputs, all else is C++.
namespace adascale::python {
namespace {

using Parts = std::vector<std::pair<QuantizationSimModel*, std::string>>;
using Notes = std::vector<std::pair<std::string, std::string>>;  // a module's path and a reason

std::vector<SimPart> to_parts(const Parts& parts) {
  std::vector<SimPart> sims;
  for (const auto& [sim, path] : parts) sims.push_back({*sim, path});
  return sims;
}

using Places = std::vector<std::tuple<std::string, at::Tensor, bool, uint64_t, int64_t>>;

std::unique_ptr<PartedModel> make_model(const Parts& parts, const std::string& refusal,
                                        const Notes& not_captured, const Places& places) {
  std::vector<PartedModel::LeftOut> left_out;
  for (const auto& [path, reason] : not_captured) left_out.push_back({path, reason});
  std::vector<PlacedTensor> placed;
  for (const auto& [name, tensor, is_parameter, owner, version] : places)
    placed.push_back({name, tensor, is_parameter, owner, version});
  return std::make_unique<PartedModel>(make_parted_model(to_parts(parts), refusal, left_out, placed));
}

std::vector<size_t> pick(const std::vector<std::tuple<std::string, std::string, int64_t>>& calls,
                         const std::vector<std::string>& patterns) {
  std::vector<RecordedCall> recorded;
  for (const auto& [path, kind, layers] : calls) recorded.push_back({path, kind, layers});
  return pick_modules(recorded, patterns);
}

/// Calls the model; whatever it raises becomes one line that names the part.
template <class Work>
auto in_live_model(const std::string& part, const Work& work) {
  return in_python([&] {
    try {
      return work();
    } catch (py::error_already_set& error) {  // boundary: the model's own exceptions
      const py::module_ errors = py::module_::import("adascale.errors");
      if (error.matches(errors.attr("Error")) || !error.matches(PyExc_Exception)) throw;
      fail("{}: {}", part, errors.attr("first_line")(error.value()).cast<std::string>());
    }
  });
}

/// `live`: `look(batch, flow)`, `run_to(quantized, part, batch) -> inputs or None` and
/// `run_module(part, inputs) -> outputs`; all flat.
LiveModel to_live_model(const py::object& live, size_t batches, const PartedModel& model) {
  const std::shared_ptr<py::object> held = share(live);
  return {.batches = batches,
          .look = [held](size_t batch,
                         LiveFlow& flow) { in_python([&] { held->attr("look")(batch, py::cast(&flow)); }); },
          .run_to =
              [held, &model](bool quantized, size_t part, size_t batch) {
                return in_live_model(model.parts[part].path, [&]() -> std::optional<Inputs> {
                  const py::object inputs = held->attr("run_to")(quantized, part, batch);
                  if (inputs.is_none()) return std::nullopt;
                  return to_values(inputs);
                });
              },
          .run_module =
              [held, &model](size_t part, const Inputs& inputs) {
                return in_live_model(model.parts[part].path, [&] {
                  return to_values(held->attr("run_module")(part, to_python(inputs)));
                });
              }};
}

AdaScaleReport train_parts(const PartedModel& model, const py::object& live, size_t batches,
                           AdaScaleOptions options, const py::object& progress) {
  options.progress = progress_to(progress);
  const LiveModel live_model = to_live_model(live, batches, model);
  const py::gil_scoped_release no_gil;
  check_outside_unchanged(model);
  LiveInputs inputs(model, live_model);
  return apply_adascale(
      model, inputs.sizes(), [&](size_t part) { return inputs.reach(part); }, options);
}

std::vector<std::string> export_to(const PartedModel& model,
                                   const std::vector<std::pair<std::string, at::Tensor>>& state,
                                   const std::string& folder, const std::string& prefix,
                                   const std::vector<std::string>& formats,
                                   const std::string& encoding_version) {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : state) tensors.push_back({name, tensor});
  const py::gil_scoped_release no_gil;
  return export_parts(model, tensors, folder, prefix, formats, {.encoding_version = encoding_version});
}

std::vector<std::string> load_into(const Parts& parts, const std::string& text, const std::string& origin,
                                   bool strict, bool partial, bool allow_overwrite,
                                   const std::map<std::string, std::string>& names) {
  return load_encodings(to_parts(parts), text, origin, {strict, partial, allow_overwrite, names});
}

/// Parameter names to (codes, scale of the codes, offset), of folded weights; of others
/// those of round-to-nearest.
py::dict encodings_of(const QuantizationSimModel& sim) {
  py::dict encodings;
  for (int32_t i = 0; i < static_cast<int32_t>(sim.weights().size()); ++i) {
    const Encoding encoding = sim.weight_encoding(i);
    encodings[py::str(encoding.name)] = py::make_tuple(encoding.codes, encoding.scale, encoding.offset);
  }
  return encodings;
}

}  // namespace

void bind_parts(py::module_& module) {
  using Release = py::call_guard<py::gil_scoped_release>;
  module.def("encodings_of", &encodings_of, py::arg("sim"));
  module.def("pick_modules", &pick, py::arg("calls"), py::arg("patterns"), Release());
  module.def("load_encodings", &load_into, py::arg("parts"), py::arg("text"), py::arg("origin"),
             py::arg("strict"), py::arg("partial"), py::arg("allow_overwrite"), py::arg("names"), Release());
  py::class_<LiveFlow>(module, "LiveFlow")
      .def(
          "enter",
          [](LiveFlow& flow, size_t part, const py::list& inputs) { flow.enter(part, to_values(inputs)); },
          py::arg("part"), py::arg("inputs"))
      .def(
          "leave",
          [](LiveFlow& flow, size_t part, const py::list& outputs) { flow.leave(part, to_values(outputs)); },
          py::arg("part"), py::arg("outputs"));
  // The model refers to the simulations in the list of its parts.
  py::class_<PartedModel>(module, "PartedModel")
      .def(py::init(&make_model), py::arg("parts"), py::arg("refusal"), py::arg("not_captured"),
           py::arg("places"), py::keep_alive<1, 2>())
      .def("check_patterns", &check_patterns, py::arg("patterns"), Release())
      .def("check_unchanged", &check_outside_unchanged, Release())
      .def("begin_calibration", &begin_calibration, Release())
      .def("end_calibration", &end_calibration, Release())
      .def("abort_calibration", &abort_calibration, Release())
      .def("apply_adascale", &train_parts, py::arg("live"), py::arg("batches"), py::arg("options"),
           py::arg("progress"))
      .def("describe", &describe_parts, Release())
      .def("export", &export_to, py::arg("state"), py::arg("folder"), py::arg("prefix"), py::arg("formats"),
           py::arg("encoding_version"));
}

}  // namespace adascale::python
