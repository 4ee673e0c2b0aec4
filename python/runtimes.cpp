#include "runtimes.h"

#include <pybind11/stl.h>
#include <torch/csrc/autograd/python_variable.h>

#include "adascale/core/error.h"
#include "callbacks.h"

namespace adascale::python {
namespace {

std::vector<at::Tensor> to_tensors(const std::string& runtime, const py::list& outputs) {
  std::vector<at::Tensor> tensors;
  for (const py::handle output : outputs) {
    const bool is_tensor = THPVariable_Check(output.ptr());
    ADA_CHECK(is_tensor || output.is_none(), "{}: gave a {}, expected tensors or None", runtime,
              std::string(py::str(py::type::handle_of(output).attr("__name__"))));
    tensors.push_back(is_tensor ? THPVariable_Unpack(output.ptr()) : at::Tensor());
  }
  return tensors;
}

RunBatch to_run(const std::string& name, const py::object& run) {
  return [name, held = share(run)](const Samples& batch) {
    return in_python([&] { return to_tensors(name, py::list((*held)(batch))); });
  };
}

TaskScore to_score(const py::handle& score) {
  return {.task = score.attr("task").cast<std::string>(),
          .metric = score.attr("metric").cast<std::string>(),
          .model = score.attr("model").cast<double>(),
          .quantized = score.attr("quantized").cast<double>(),
          .standard_error = score.attr("standard_error").cast<std::optional<double>>()};
}

}  // namespace

TaskRunner to_task_runner(const py::object& runner) {
  using Names = TaskRunner::Names;
  const std::shared_ptr<py::object> held = share(runner);
  return {
      .check = [held](const std::string& model, const std::string& folder,
                      const Names& tasks) { in_python([&] { held->attr("check")(model, folder, tasks); }); },
      .run =
          [held](const std::string& model, const std::string& folder, const Names& tasks,
                 const std::string& device) {
            return in_python([&] {
              std::vector<TaskScore> scores;
              for (const py::handle score : held->attr("run")(model, folder, tasks, device))
                scores.push_back(to_score(score));
              return scores;
            });
          }};
}

Runtime to_runtime(const py::object& runtime) {
  const auto name = runtime.attr("name").cast<std::string>();
  return {.name = name,
          .files = runtime.attr("files").cast<std::string>(),
          .description = runtime.attr("description").cast<std::string>(),
          .open = [name, held = share(runtime)](const std::string& folder, const ModelNames& names) {
            return in_python(
                [&] { return to_run(name, held->attr("open")(folder, names.inputs, names.outputs)); });
          }};
}

}  // namespace adascale::python
