#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>

#include "adascale/graph/program.h"

namespace adascale {

/// The meaning of names in one (sub)graph: a value, or a literal that an inlined graph returned.
using Scope = std::unordered_map<std::string, Argument>;

Argument make_literal(c10::IValue value);
Argument make_reference(ValueId value);

/// Reads one `Argument` of the export schema. Lists of plain literals become one literal (`int[]`
/// and so on), lists that may hold values become a kList. Throws Error for names missing in `scope`
/// and for kinds we cannot run.
Argument read_argument(const nlohmann::json& json, const Scope& scope);

}  // namespace adascale
