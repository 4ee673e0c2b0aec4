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
  void add(const std::string& name, std::vector<double>& value, const std::string& help,
           const OptionRule& rule);
  void add(const std::string& name, std::vector<std::string>& value, const std::string& help,
           const OptionRule& rule);

  CLI::App& app_;
  std::set<std::string> only_, except_;
};

}  // namespace adascale
