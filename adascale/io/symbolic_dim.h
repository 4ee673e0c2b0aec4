#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "adascale/graph/program.h"

namespace adascale {

/// The dimension that a sympy expression (`srepr`) describes, its range worked out from
/// the export's `range_constraints`.
Dim symbolic_dim(const std::string& srepr, const nlohmann::json& range_constraints);

}  // namespace adascale
