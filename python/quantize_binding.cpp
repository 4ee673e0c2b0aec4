#include <pybind11/stl.h>

#include "adascale/core/error.h"
#include "adascale/run/quantize.h"
#include "bindings.h"
#include "callbacks.h"
#include "doors.h"
#include "keywords.h"
#include "program_formats.h"

namespace adascale::python {
namespace {

template <class Visitor>
void visit_quantize_options(Visitor& visit, QuantizeRun& run) {
  visit_sim_options(visit, run.quantize.sim);
  visit_adascale_options(visit, run.quantize.training);
  visit_setup_options(visit, run.quantize);
  visit_export_options(visit, run.quantize);
  visit_data_options(visit, run.data.options);
}

// The defaults are quantize()'s own, which differ from the sim's.
py::list quantize_keywords() {
  QuantizeRun run;
  KeywordTable table;
  visit_quantize_options(table, run);
  return table.rows();
}

QuantizeRun read_run(const std::string& layer_config, const py::dict& keywords) {
  QuantizeRun run;
  KeywordReader reader("quantize", keywords);
  visit_quantize_options(reader, run);
  reader.check_all_known();
  run.quantize.sim.layer_config = parse_layer_config(layer_config);
  return run;
}

void check_quantize_options(const std::string& layer_config, const py::dict& keywords) {
  QuantizeRun run = read_run(layer_config, keywords);
  check_flags(run.quantize);
}

AdaScaleReport quantize_through(const std::vector<py::object>& python_doors, const std::string& model,
                                const std::vector<std::string>& files, const std::string& output_dir,
                                const std::vector<std::string>& formats, const std::string& layer_config,
                                const py::dict& keywords, const py::object& say, const py::object& progress,
                                const std::vector<py::object>& python_formats) {
  QuantizeRun run = read_run(layer_config, keywords);
  run.model = model;
  run.data.files = files;
  run.output_dir = output_dir;
  run.formats = formats;
  run.say = [shared = share(say)](const std::string& text) {
    const py::gil_scoped_acquire gil;
    (*shared)(text);
  };
  run.quantize.training.progress = progress_to(progress);
  Doors doors = {pt2_door()};
  for (const py::object& door : python_doors) doors.push_back(to_door(door));
  add_formats(doors, to_program_formats(python_formats));
  const py::gil_scoped_release no_gil;
  return quantize(run, door_for(doors, model)).value();
}

}  // namespace

void bind_quantize(py::module_& module) {
  module.def("quantize_keywords", &quantize_keywords);
  module.def("check_quantize_options", &check_quantize_options);
  module.def("quantize", &quantize_through, py::arg("doors"), py::arg("model"), py::arg("files"),
             py::arg("output_dir"), py::arg("formats"), py::arg("layer_config"), py::arg("options"),
             py::arg("say"), py::arg("progress"), py::arg("python_formats"));
}

}  // namespace adascale::python
