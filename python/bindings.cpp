#include "bindings.h"

#include <pybind11/stl.h>

#include <system_error>

#include "adascale/core/spelling.h"
#include "adascale/formats/folder_files.h"
#include "adascale/io/file_passes.h"
#include "adascale/io/safetensors.h"
#include "adascale/io/write_error.h"
#include "adascale/sim/options.h"
#include "adascale/tune/adascale.h"
#include "callbacks.h"
#include "cli/cli_main.h"
#include "doors.h"
#include "keywords.h"
#include "runtimes.h"

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

/// (companions, weights)
std::pair<std::vector<std::string>, std::vector<std::string>> model_files(const std::string& folder) {
  ModelFiles files = list_model_files(folder);
  return {std::move(files.companions), std::move(files.weights)};
}

/// Tensors: a name, a tensor like it, and a function that makes it.
void write_in_turn(const std::string& path,
                   const std::vector<std::tuple<std::string, at::Tensor, py::function>>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<TensorToWrite> in_turn;
  for (const auto& [name, like, make] : tensors)
    in_turn.push_back(
        {name, like.scalar_type(), like.sizes().vec(), [make = make] { return make().cast<at::Tensor>(); }});
  write_safetensors_in_turn(path, in_turn, metadata);
}

/// Where Python's output has no reader any more, it ends as ours does.
void run(const py::object& command) {
  in_python([&] {
    try {
      command.attr("run")();
    } catch (const py::error_already_set& error) {  // boundary: Python's error of a closed pipe
      if (!error.matches(PyExc_BrokenPipeError)) throw;
      throw std::system_error(std::make_error_code(std::errc::broken_pipe));
    }
  });
}

OwnCommand to_command(const py::object& command) {
  return {command.attr("name").cast<std::string>(), command.attr("description").cast<std::string>(),
          [held = share(command)] { run(*held); }};
}

int run_command(const std::vector<std::string>& args, const std::vector<py::object>& python_doors,
                const std::vector<py::object>& python_runtimes,
                const std::vector<py::object>& python_commands, const py::object& task_runner) {
  Doors doors = {pt2_door()};
  for (const py::object& door : python_doors) doors.push_back(to_door(door));
  Runtimes runtimes;
  for (const py::object& runtime : python_runtimes) runtimes.push_back(to_runtime(runtime));
  std::vector<OwnCommand> commands;
  for (const py::object& command : python_commands) commands.push_back(to_command(command));
  const std::optional<TaskRunner> tasks =
      task_runner.is_none() ? std::nullopt : std::optional(to_task_runner(task_runner));
  const py::gil_scoped_release no_gil;
  return cli_main(args, doors, runtimes, commands, tasks);
}

}  // namespace
}  // namespace adascale::python

PYBIND11_MODULE(_C, module) {
  using namespace adascale::python;
  translate_errors();
  raise_on_interrupt();
  adascale::set_default_spelling(adascale::Spelling::kKeyword);
  bind_report(module);
  bind_sim(module);
  bind_parts(module);
  module.def("sim_keywords", &sim_keywords);
  module.def("adascale_keywords", &adascale_keywords);
  module.def("list_model_files", &model_files);
  module.def("write_safetensors", &write_in_turn);
  module.def("write_error", &adascale::write_error);
  py::class_<adascale::Pass>(module, "Pass")
      .def_static("reading_back", &adascale::pass_reading_back)
      .def("step", &adascale::Pass::step);
  module.def("log_to", &log_to);
  module.def("run_command", &run_command, py::arg("args"), py::arg("doors"),
             py::arg("runtimes") = std::vector<py::object>(), py::arg("commands") = std::vector<py::object>(),
             py::arg("task_runner") = py::none());
  bind_quantize(module);
  bind_team(module);
  bind_scratch(module);
  bind_device(module);
}
