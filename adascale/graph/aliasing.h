#pragma once
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// The effect of one operator on its operands' storage, from the alias annotations of its schema.
struct AliasRule {
  std::vector<std::string> overwritten;                ///< operands it writes into
  std::vector<std::pair<size_t, std::string>> shared;  ///< result number -> the operand it may be a view of
};

/// Looks rules up by target, each read from the dispatcher once.
class AliasRules {
 public:
  const AliasRule& of(const Node& node);
  /// The values `node` writes into.
  std::vector<ValueId> overwritten(const Node& node);

 private:
  std::unordered_map<std::string, AliasRule> rules_;
};

/// Every value that an operand refers to, those of lists included.
std::vector<ValueId> values_in(const Argument& argument);

}  // namespace adascale
