#pragma once
#include <string>
#include <vector>

#include "adascale/run/run_plan.h"

namespace adascale {

/// A layer or module that stays in full precision.
struct LeftOut {
  std::string name;
  std::string kind;  ///< "Embedding"; empty: unknown
  std::string reason;
};

std::vector<LeftOut> left_out(const ModelPlan& plan);
/// The same of all parts, and of what is outside them.
std::vector<LeftOut> left_out(const RunPlan& plan);

}  // namespace adascale
