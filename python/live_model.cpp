#include "live_model.h"

#include <pybind11/stl.h>

#include "adascale/core/error.h"
#include "callbacks.h"
#include "values.h"

namespace adascale::python {
namespace {

/// Calls the model; whatever it raises becomes one line that begins with `where`.
template <class Work>
auto in_live_model(const std::string& where, const Work& work) {
  return in_python([&] {
    try {
      return work();
    } catch (py::error_already_set& error) {  // boundary: the model's own exceptions
      const py::module_ errors = py::module_::import("adascale.errors");
      if (error.matches(errors.attr("Error")) || !error.matches(PyExc_Exception)) throw;
      fail("{}: {}", where, errors.attr("first_line")(error.value()).cast<std::string>());
    }
  });
}

}  // namespace

std::vector<PartedModel::LeftOut> to_left_out(const Notes& notes) {
  std::vector<PartedModel::LeftOut> left_out;
  for (const auto& [path, reason] : notes) left_out.push_back({path, reason});
  return left_out;
}

std::vector<NamedTensor> to_named(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : tensors) named.push_back({name, tensor});
  return named;
}

LiveModel to_live_model(const py::object& runs, size_t batches, const PartedModel& model) {
  const std::shared_ptr<py::object> held = share(runs);
  return {.batches = batches,
          .look =
              [held](size_t batch, LiveFlow& flow) {
                in_live_model("the model", [&] { held->attr("look")(batch, py::cast(&flow)); });
              },
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

void run_quantized(const py::object& runs, size_t batch) {
  in_live_model(fmt::format("batch {}", batch), [&] { runs.attr("run_quantized")(batch); });
}

}  // namespace adascale::python
