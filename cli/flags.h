#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adascale/core/options.h"

namespace adascale {

/// A visitor of an options table (core/options.h) that gives a subcommand one flag per line of it.
class FlagAdder {
 public:
  /// `only`: the names to take; empty: all but those in `except`.
  explicit FlagAdder(CLI::App& app, std::set<std::string> only = {}, std::set<std::string> except = {})
      : app_(app), only_(std::move(only)), except_(std::move(except)) {}

  template <class Value>
  void operator()(const std::string& name, Value& value, const std::string& help, const OptionRule& rule) {
    if (except_.count(name) > 0 || (!only_.empty() && only_.count(name) == 0)) return;
    add(name, value, help, rule);
  }

 private:
  void add(const std::string& name, bool& value, const std::string& help, const OptionRule& rule);
  void add(const std::string& name, int64_t& value, const std::string& help, const OptionRule& rule);
  void add(const std::string& name, double& value, const std::string& help, const OptionRule& rule);
  void add(const std::string& name, std::string& value, const std::string& help, const OptionRule& rule);
  void add(const std::string& name, std::optional<int64_t>& value, const std::string& help,
           const OptionRule& rule);
  void add(const std::string& name, std::vector<std::string>& value, const std::string& help,
           const OptionRule& rule);

  CLI::App& app_;
  std::set<std::string> only_, except_;
};

/// A visitor that checks every value against its rule; throws (user) naming the flag.
struct RuleChecker {
  void operator()(const std::string& name, bool, const std::string&, const OptionRule&) const {}
  void operator()(const std::string& name, int64_t value, const std::string&, const OptionRule& rule) const {
    check_rule(flag_of(name), static_cast<double>(value), rule);
  }
  void operator()(const std::string& name, double value, const std::string&, const OptionRule& rule) const {
    check_rule(flag_of(name), value, rule);
  }
  void operator()(const std::string& name, const std::string& value, const std::string&,
                  const OptionRule& rule) const {
    check_rule(flag_of(name), value, rule);
  }
  void operator()(const std::string& name, const std::optional<int64_t>& value, const std::string&,
                  const OptionRule& rule) const {
    if (value) check_rule(flag_of(name), static_cast<double>(*value), rule);
  }
  void operator()(const std::string& name, const std::vector<std::string>& values, const std::string&,
                  const OptionRule& rule) const {
    for (const std::string& value : values) check_rule(flag_of(name), value, rule);
  }
};

}  // namespace adascale
