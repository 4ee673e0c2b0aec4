#include "doors.h"

#include <pybind11/stl.h>

#include <set>

#include "adascale/core/error.h"
#include "adascale/formats/saved_state.h"
#include "adascale/io/pt2.h"
#include "callbacks.h"

namespace adascale::python {
namespace {

py::object to_python(const DataRequest& data) {
  const DataOptions& options = data.options;
  return py::module_::import("adascale.doors.door")
      .attr("DataRequest")(data.files, options.samples, options.seq_len, options.packing,
                           options.data_weights, data.seed);
}

/// Names of the tensors that changed, tied ones together, with their values if asked for: the
/// quantized weights, and the weights and norms of folded batch norms.
py::list changed_tensors(const QuantizationSimModel& sim, bool with_values) {
  py::list tensors;
  std::set<std::string> seen;
  const auto add = [&](const std::vector<std::string>& names, const at::Tensor& value) {
    tensors.append(with_values ? py::object(py::make_tuple(names, value)) : py::object(py::cast(names)));
    seen.insert(names.begin(), names.end());
  };
  for (const SavedTensor& saved : saved_state(sim))
    if (saved.weight != kNone) add(saved.names, with_values ? values_of(sim, saved) : at::Tensor());
  for (const FoldedBatchNorm& folded : sim.program().folded_batch_norms)
    for (const auto& [name, value] : folded.source_state)
      if (!seen.contains(name)) add({name}, value.detach());
  return tensors;
}

/// `format`: `check(folder, names) -> objections` and `write(weights, path)`.
ExportFormat to_format(const py::object& format) {
  const std::shared_ptr<py::object> held = share(format);
  return {.name = format.attr("name").cast<std::string>(),
          .description = format.attr("description").cast<std::string>(),
          .files = format.attr("files").cast<std::vector<std::string>>(),
          .check =
              [held](const ExportRequest& request, Objections& objections) {
                in_python([&] {
                  const py::object said =
                      held->attr("check")(request.folder, changed_tensors(request.sim, false));
                  for (const auto& text : said.cast<std::vector<std::string>>()) objections.add("{}", text);
                });
              },
          .write =
              [held](const ExportRequest& request, StagedFiles& files) {
                in_python([&] {
                  const py::cpp_function path([&](const std::string& name) { return files.path(name); });
                  held->attr("write")(changed_tensors(request.sim, true), path);
                });
              }};
}

OpenedModel to_model(const py::object& opened) {
  OpenedModel model;
  const auto graph = opened.attr("graph").cast<std::string>();
  model.program =
      parse_program(graph, opened.attr("tensors").cast<std::unordered_map<std::string, at::Tensor>>());
  model.stem = opened.attr("stem").cast<std::string>();
  model.samples = opened.attr("samples").cast<Samples>();
  model.notes = opened.attr("notes").cast<std::vector<std::string>>();
  model.source = {opened.attr("source").cast<std::string>(),
                  opened.attr("stored_names").cast<std::map<std::string, std::string>>()};
  model.is_from_file = opened.attr("is_from_file").cast<bool>();
  model.is_shared = opened.attr("is_shared").cast<bool>();
  for (const py::handle format : opened.attr("formats"))
    model.formats.push_back(to_format(py::reinterpret_borrow<py::object>(format)));
  return model;
}

}  // namespace

Door to_door(const py::object& door) {
  const std::shared_ptr<py::object> held = share(door);
  return {.name = door.attr("name").cast<std::string>(),
          .description = door.attr("description").cast<std::string>(),
          .data = door.attr("data").cast<std::string>(),
          .formats = door.attr("formats").cast<std::vector<std::string>>(),
          .own_formats = door.attr("own_formats").cast<std::vector<Row>>(),
          .matches =
              [held](const std::string& model) {
                return in_python([&] { return held->attr("matches")(model).cast<bool>(); });
              },
          .open =
              [held](const std::string& model, const DataRequest& data) {
                return in_python([&] { return to_model(held->attr("open")(model, to_python(data))); });
              }};
}

}  // namespace adascale::python
