#include <pybind11/stl.h>
#include <torch/csrc/utils/pybind.h>

#include "adascale/run/pages.h"
#include "adascale/run/report_json.h"
#include "adascale/run/report_text.h"
#include "bindings.h"

namespace adascale::python {
namespace {

std::string to_text(const AdaScaleReport& report) {
  std::string text = report_text(report);
  while (!text.empty() && text.back() == '\n') text.pop_back();  // print ends the line
  return text;
}

}  // namespace

void bind_report(py::module_& module) {
  py::class_<LayerReport>(module, "LayerReport")
      .def_readonly("name", &LayerReport::name)
      .def_readonly("grid", &LayerReport::grid)
      .def_readonly("sqnr_rtn_db", &LayerReport::sqnr_rtn_db)
      .def_readonly("sqnr_db", &LayerReport::sqnr_db)
      .def_readonly("codes_moved", &LayerReport::codes_moved);
  py::class_<BlockReport>(module, "BlockReport")
      .def_readonly("name", &BlockReport::name)
      .def_readonly("layers", &BlockReport::layers)
      .def_readonly("loss_before", &BlockReport::loss_before)
      .def_readonly("loss_after", &BlockReport::loss_after)
      .def_readonly("held_out_before", &BlockReport::held_out_before)
      .def_readonly("held_out_after", &BlockReport::held_out_after)
      .def_readonly("iterations", &BlockReport::iterations)
      .def_readonly("seconds", &BlockReport::seconds)
      .def_readonly("step_length", &BlockReport::step_length)
      .def_readonly("kept", &BlockReport::kept)
      .def_readonly("diverged", &BlockReport::diverged)
      .def_readonly("note", &BlockReport::note);
  py::class_<LastStageReport>(module, "LastStageReport")
      .def_readonly("iterations", &LastStageReport::iterations)
      .def_readonly("held_out_before", &LastStageReport::held_out_before)
      .def_readonly("held_out_after", &LastStageReport::held_out_after)
      .def_readonly("kept", &LastStageReport::kept)
      .def_readonly("seconds", &LastStageReport::seconds)
      .def_readonly("note", &LastStageReport::note);
  py::class_<AdaScaleReport>(module, "AdaScaleReport")
      .def_readonly("recipe", &AdaScaleReport::recipe)
      .def_readonly("device", &AdaScaleReport::device)
      .def_readonly("precision", &AdaScaleReport::precision)
      .def_readonly("blocks", &AdaScaleReport::blocks)
      .def_readonly("last_stage", &AdaScaleReport::last_stage)
      .def_readonly("not_trained", &AdaScaleReport::not_trained)
      .def_readonly("seconds", &AdaScaleReport::seconds)
      .def_readonly("block_bytes", &AdaScaleReport::block_bytes)
      .def(
          "to_json", [](const AdaScaleReport& report) { return report_json(report); },
          "What came of the training, as JSON; docs/report.md has the fields.")
      .def(
          "to_html", [](const AdaScaleReport& report) { return report_page(report_json(report)); },
          "The same as a page of its own, which loads nothing. A run's report.html has the plan and the "
          "files too.")
      .def("_repr_html_", &report_html)
      .def("__repr__", &to_text);
}

}  // namespace adascale::python
