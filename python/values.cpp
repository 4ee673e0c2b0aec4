#include "values.h"

#include <torch/csrc/autograd/python_variable.h>

#include "adascale/core/error.h"

namespace adascale::python {
namespace {

c10::IValue to_value(py::handle item) {
  if (item.is_none()) return {};
  if (THPVariable_Check(item.ptr())) return THPVariable_Unpack(item.ptr());
  // bool before int: Python's bool is an int.
  if (py::isinstance<py::bool_>(item)) return item.cast<bool>();
  if (py::isinstance<py::int_>(item)) return item.cast<int64_t>();
  if (py::isinstance<py::float_>(item)) return item.cast<double>();
  if (py::isinstance<py::str>(item)) return item.cast<std::string>();
  fail("sim.model: got an input of type {}, expected tensors, numbers, strings or None",
       std::string(py::str(py::type::handle_of(item).attr("__name__"))));
}

py::object to_object(const c10::IValue& value) {
  if (value.isNone()) return py::none();
  if (value.isTensor()) return py::cast(value.toTensor());
  if (value.isBool()) return py::cast(value.toBool());
  if (value.isInt()) return py::cast(value.toInt());
  if (value.isDouble()) return py::cast(value.toDouble());
  ADA_ASSERT(value.isString(), "an output of kind " + value.tagKind());
  return py::cast(value.toStringRef());
}

}  // namespace

std::vector<c10::IValue> to_values(const py::list& items) {
  std::vector<c10::IValue> values;
  values.reserve(items.size());
  for (const py::handle item : items) values.push_back(to_value(item));
  return values;
}

std::vector<std::vector<c10::IValue>> to_batches(const std::vector<py::list>& batches) {
  std::vector<std::vector<c10::IValue>> inputs;
  for (const py::list& batch : batches) inputs.push_back(to_values(batch));
  return inputs;
}

py::list to_python(const std::vector<c10::IValue>& values) {
  py::list items;
  for (const c10::IValue& value : values) items.append(to_object(value));
  return items;
}

}  // namespace adascale::python
