#pragma once
#include <string>

#include "adascale/run/evaluate.h"

namespace adascale {

/// What the page of `evaluate` shows: metrics of each output and runner, the divergence of tokens by position and by
/// size, the samples that are furthest apart, speeds. Numbers that are not finite are null; names are without folders.
std::string evaluation_json(const EvaluateRequest& request, const EvaluatedFolder& result);

}  // namespace adascale
