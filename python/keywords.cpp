#include "keywords.h"

#include <fmt/ranges.h>

#include "adascale/core/error.h"
#include "adascale/core/words.h"

namespace adascale::python {

std::optional<std::string> KeywordReader::find(const std::string& name, const OptionRule& rule) {
  const std::string& alias = rule.alias;
  known_.push_back(alias.empty() ? name : fmt::format("{} (or {})", name, alias));
  names_.push_back(name);
  if (!alias.empty()) names_.push_back(alias);
  const bool by_name = keywords_.contains(name), by_alias = !alias.empty() && keywords_.contains(alias);
  if (by_name && by_alias) {
    throw py::type_error(
        fmt::format("{}: {} and {} are one option; give one of them", function_, name, alias));
  }
  if (!by_name && !by_alias) return std::nullopt;
  const std::string spelled = by_name ? name : alias;
  read_.insert(spelled);
  return spelled;
}

void KeywordReader::check_all_known() const {
  for (const auto& [key, value] : keywords_) {
    const auto name = key.cast<std::string>();
    if (read_.count(name) > 0) continue;
    throw py::type_error(fmt::format("{}: unknown keyword '{}'{}; known: {}", function_, name,
                                     did_you_mean(name, names_), fmt::join(known_, ", ")));
  }
}

void KeywordReader::refuse(const std::string& name, const std::string& expected) const {
  fail("{}: {}: got {}, expected {}", function_, name, std::string(py::repr(keywords_[name.c_str()])),
       expected);
}

void KeywordReader::read(const std::string& name, bool& value) const {
  const py::object given = keywords_[name.c_str()];
  if (!py::isinstance<py::bool_>(given)) refuse(name, "True or False");
  value = given.cast<bool>();
}

void KeywordReader::read(const std::string& name, int64_t& value) const {
  const py::object given = keywords_[name.c_str()];
  // An integer of any kind (also NumPy's), but not True, which Python counts as 1.
  if (py::isinstance<py::bool_>(given) || PyIndex_Check(given.ptr()) == 0) refuse(name, "an integer");
  int overflow = 0;
  value = PyLong_AsLongLongAndOverflow(py::int_(given).ptr(), &overflow);
  if (overflow != 0) refuse(name, "an integer of at most 64 bits");
}

namespace {

bool is_number(const py::handle& given) {
  const bool number = PyFloat_Check(given.ptr()) != 0 || PyIndex_Check(given.ptr()) != 0;
  return number && !py::isinstance<py::bool_>(given);
}

}  // namespace

void KeywordReader::read(const std::string& name, double& value) const {
  const py::object given = keywords_[name.c_str()];
  if (!is_number(given)) refuse(name, "a number");
  value = py::float_(given).cast<double>();
}

void KeywordReader::read(const std::string& name, std::string& value) const {
  const py::object given = keywords_[name.c_str()];
  if (!py::isinstance<py::str>(given)) refuse(name, "a string");
  value = given.cast<std::string>();
}

void KeywordReader::read(const std::string& name, std::vector<std::string>& value) const {
  const py::object given = keywords_[name.c_str()];
  if (!py::isinstance<py::list>(given) && !py::isinstance<py::tuple>(given))
    refuse(name, "a list of strings");
  value.clear();
  for (const py::handle item : given) {
    if (!py::isinstance<py::str>(item)) refuse(name, "a list of strings");
    value.push_back(item.cast<std::string>());
  }
}

void KeywordReader::read(const std::string& name, std::vector<double>& value) const {
  const py::object given = keywords_[name.c_str()];
  if (!py::isinstance<py::list>(given) && !py::isinstance<py::tuple>(given))
    refuse(name, "a list of numbers");
  value.clear();
  for (const py::handle item : given) {
    if (!is_number(item)) refuse(name, "a list of numbers");
    value.push_back(py::float_(py::reinterpret_borrow<py::object>(item)).cast<double>());
  }
}

void KeywordReader::read(const std::string& name, std::optional<int64_t>& value) const {
  value.reset();
  if (!keywords_[name.c_str()].is_none()) read(name, value.emplace());
}

AdaScaleOptions read_adascale_options(const py::dict& keywords) {
  AdaScaleOptions options;
  KeywordReader reader("apply_adascale", keywords, {"data_loader", "forward_fn", "progress"});
  visit_adascale_options(reader, options);
  reader.check_all_known();
  reader.objections().raise();
  return options;
}

}  // namespace adascale::python
