#pragma once
#include <CLI/CLI.hpp>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace adascale {

/// A result is beyond a bound of `--fail-if`. All is done and written nonetheless.
class BoundCrossed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The flag `--fail-if NAME>VALUE` or `NAME<VALUE` of a command.
class FailIf {
 public:
  enum class Source { kQuantize, kEvaluate };

  FailIf(CLI::App& app, Source source);
  bool is_given() const { return !texts_.empty(); }
  /// Throws (user) for a bound that is none, and for a name that the command does not measure.
  void check_bounds() const;
  /// Throws BoundCrossed with all bounds that the values are beyond; a value that is no number is beyond
  /// any. Throws (user) for a name without a value.
  void check(const std::map<std::string, double>& values) const;

 private:
  Source source_;
  std::vector<std::string> texts_;
};

}  // namespace adascale
