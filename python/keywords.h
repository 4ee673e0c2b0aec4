#pragma once
#include <torch/csrc/utils/pybind.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adascale/core/counters.h"
#include "adascale/core/error.h"
#include "adascale/core/options.h"
#include "adascale/tune/adascale.h"

namespace adascale::python {

/// A visitor of an options table (core/options.h) that fills the options from Python
/// keywords, by name or alias.
///
/// Hidden, like pybind11's own types. Needs the GIL. After the visit, `check_all_known` throws
/// TypeError for keywords the table does not have.
class __attribute__((visibility("hidden"))) KeywordReader {
 public:
  /// `function`: the caller's name in messages, e.g. "apply_adascale"; `own`: keywords of its signature,
  /// which a message about an unknown one lists too.
  KeywordReader(std::string function, const py::dict& keywords, const std::vector<std::string>& own)
      : function_(std::move(function)), keywords_(keywords), known_(own), names_(own) {
    ++count_of(Counted::kReadOptions);
  }

  template <class Value>
  void operator()(const std::string& name, Value& value, const std::string& help, const OptionRule& rule) {
    const auto spelled = find(name, rule);
    if (!spelled) return;
    read(*spelled, value);
    RuleChecker{objections_}(*spelled, value, help, rule);
  }
  void check_all_known() const;
  /// To values outside their limits; options are named as the caller wrote them.
  const Objections& objections() const { return objections_; }

 private:
  std::optional<std::string> find(const std::string& name, const OptionRule& rule);
  void read(const std::string& name, bool& value) const;
  void read(const std::string& name, int64_t& value) const;
  void read(const std::string& name, double& value) const;
  void read(const std::string& name, std::string& value) const;
  void read(const std::string& name, std::vector<std::string>& value) const;
  void read(const std::string& name, std::vector<double>& value) const;
  void read(const std::string& name, std::optional<int64_t>& value) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& expected) const;

  std::string function_;
  const py::dict& keywords_;
  std::vector<std::string> known_;  // for messages: "param_bw (or default_param_bw)"
  std::vector<std::string> names_;  // likewise: "param_bw", "default_param_bw"
  std::set<std::string> read_;
  Objections objections_;
};

/// A visitor that lists an options table for docstrings and tests: one (name, alias, default, help) per
/// option. Needs the GIL.
class __attribute__((visibility("hidden"))) KeywordTable {
 public:
  template <class Value>
  void operator()(const std::string& name, const Value& value, const std::string& help,
                  const OptionRule& rule) {
    rows_.append(py::make_tuple(name, rule.alias, to_default(value), help));
  }
  py::list rows() const { return rows_; }

 private:
  template <class Value>
  static py::object to_default(const Value& value) {
    return py::cast(value);
  }
  static py::object to_default(const std::optional<int64_t>& value) {
    return value ? py::cast(*value) : py::none();
  }
  template <class Value>
  static py::object to_default(const std::vector<Value>& values) {
    py::list items;
    for (const Value& value : values) items.append(value);
    return items;
  }

  py::list rows_;
};

/// The options of apply_adascale from Python's keywords; progress is not one.
AdaScaleOptions read_adascale_options(const py::dict& keywords);

}  // namespace adascale::python
