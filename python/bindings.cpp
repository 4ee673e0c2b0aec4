#include "bindings.h"

#include <pybind11/stl.h>

#include "adascale/sim/options.h"
#include "adascale/tune/adascale.h"
#include "callbacks.h"
#include "cli/cli_main.h"
#include "doors.h"
#include "keywords.h"

namespace adascale::python {
namespace {

py::list sim_keywords() {
  SimOptions options;
  KeywordTable table;
  visit_sim_options(table, options);
  return table.rows();
}

py::list adascale_keywords() {
  AdaScaleOptions options;
  KeywordTable table;
  visit_adascale_options(table, options);
  return table.rows();
}

int run_command(const std::vector<std::string>& args, const std::vector<py::object>& python_doors) {
  Doors doors = {pt2_door()};
  for (const py::object& door : python_doors) doors.push_back(to_door(door));
  const py::gil_scoped_release no_gil;
  return cli_main(args, doors);
}

}  // namespace
}  // namespace adascale::python

PYBIND11_MODULE(_C, module) {
  using namespace adascale::python;
  translate_errors();
  bind_report(module);
  bind_sim(module);
  bind_parts(module);
  module.def("sim_keywords", &sim_keywords);
  module.def("adascale_keywords", &adascale_keywords);
  module.def("log_to", &log_to);
  module.def("run_command", &run_command, py::arg("args"), py::arg("doors"));
  bind_quantize(module);
}
