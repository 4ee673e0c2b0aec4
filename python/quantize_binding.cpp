#include <pybind11/stl.h>

#include "adascale/core/counters.h"
#include "adascale/core/spelling.h"
#include "adascale/run/quantize.h"
#include "bindings.h"
#include "callbacks.h"
#include "doors.h"
#include "formats.h"
#include "keywords.h"

namespace adascale::python {
namespace {

/// For tests: "find_blocks", "read_options".
int64_t counted(const std::string& what) {
  ADA_CHECK(what == "find_blocks" || what == "read_options", "counted: '{}' is not", what);
  return count_of(what == "find_blocks" ? Counted::kFindBlocks : Counted::kReadOptions);
}

// The defaults are quantize()'s own, which differ from the sim's.
py::list quantize_keywords() {
  QuantizeRequest request;
  KeywordTable table;
  visit_request_options(table, request);
  return table.rows();
}

/// Read and checked once, before the data, which may take long.
QuantizeRequest read_request(const std::string& output_dir, const std::vector<std::string>& formats,
                             const std::string& layer_config, const py::dict& keywords) {
  QuantizeRequest request;
  KeywordReader reader("quantize", keywords, {"data", "formats", "layer_config", "progress", "tokenizer"});
  visit_request_options(reader, request);
  reader.check_all_known();
  request.output_dir = output_dir;
  request.formats = formats;
  Objections objections = reader.objections();
  objections.gather([&] { request.sim.layer_config = parse_layer_config(layer_config); });
  check_options(request, objections);
  objections.raise();
  return request;
}

AdaScaleReport quantize_through(const QuantizeRequest& asked, const std::vector<py::object>& python_doors,
                                const std::string& model, const std::vector<std::string>& files,
                                const py::object& say, const py::object& progress) {
  QuantizeRequest request = asked;
  request.model = model;
  request.data.files = files;
  request.training.progress = progress_to(progress);
  Doors doors = {pt2_door()};
  for (const py::object& door : python_doors) doors.push_back(to_door(door));
  const Say print = [shared = share(say)](const std::string& text) {
    const py::gil_scoped_acquire gil;
    (*shared)(text);
  };
  const py::gil_scoped_release no_gil;
  return quantize(request, doors, print, Told::kSummary);
}

}  // namespace

void bind_quantize(py::module_& module) {
  module.attr("DEFAULT_BATCH_SIZE") = kDefaultBatchSize;
  module.def("quantize_keywords", &quantize_keywords);
  py::class_<QuantizeRequest>(module, "QuantizeRequest")
      .def(py::init(&read_request), py::arg("output_dir"), py::arg("formats"), py::arg("layer_config"),
           py::arg("options"));
  module.def("quantize", &quantize_through, py::arg("request"), py::arg("doors"), py::arg("model"),
             py::arg("files"), py::arg("say"), py::arg("progress"));
  module.def("counted", &counted, py::arg("what"));
  module.def("format_names", [] {
    std::vector<std::string> names;
    for (const ExportFormat& format : export_formats()) names.push_back(format.name);
    return names;
  });
  module.def("add_formats", &add_formats, py::arg("formats"));
  module.def(
      "option", [](const std::string& name) { return option(name); }, py::arg("name"));
  module.def(
      "option", [](const std::string& name, const std::string& value) { return option(name, value); },
      py::arg("name"), py::arg("value"));
}

}  // namespace adascale::python
