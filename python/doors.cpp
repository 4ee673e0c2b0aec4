#include "doors.h"

#include <pybind11/stl.h>

#include "adascale/io/pt2.h"
#include "callbacks.h"
#include "formats.h"

namespace adascale::python {
namespace {

py::object to_python(const DataRequest& data) {
  const DataOptions& options = data.options;
  return py::module_::import("adascale.doors.door")
      .attr("DataRequest")(data.files, options.samples, options.seq_len, options.packing,
                           options.data_weights, data.seed);
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
  if (const py::object writer = opened.attr("writer"); !writer.is_none())
    model.source.save = to_prepare(writer);
  return model;
}

}  // namespace

Door to_door(const py::object& door) {
  const std::shared_ptr<py::object> held = share(door);
  return {.name = door.attr("name").cast<std::string>(),
          .description = door.attr("description").cast<std::string>(),
          .data = door.attr("data").cast<std::string>(),
          .formats = door.attr("formats").cast<std::vector<std::string>>(),
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
