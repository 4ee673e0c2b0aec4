#include "adascale/tune/check_batches.h"

#include <ATen/TensorOperators.h>

#include "adascale/graph/interpreter.h"
#include "adascale/quant/finite.h"

namespace adascale {
namespace {

constexpr size_t kMaxBadBatches = 3;  // named in the message; more would bury it

bool is_finite(const c10::IValue& input) {
  if (!input.isTensor() || input.toTensor().is_meta() || !input.toTensor().is_floating_point()) return true;
  return adascale::is_finite(input.toTensor());
}

/// Parts see only the batches that reach them.
std::string name_of(const std::string& part, size_t batch) {
  return part.empty() ? fmt::format("batch {}", batch)
                      : fmt::format("{}: batch {} of those that reach it", part, batch);
}

}  // namespace

void check_batches(const Program& program, const std::string& part, const std::vector<Inputs>& batches,
                   Objections& objections) {
  const auto inputs = program.user_inputs();
  size_t bad = 0;
  for (size_t i = 0; i < batches.size() && bad < kMaxBadBatches; ++i) {
    try {
      check_inputs(program, batches[i]);
    } catch (const Error& error) {  // boundary: one objection among others
      ++bad;
      objections.add("{}: {}", name_of(part, i), error.what());
      continue;
    }
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (is_finite(batches[i][k])) continue;
      ++bad;
      objections.add("{}: input '{}' holds NaN or infinity", name_of(part, i), inputs[k]->name);
    }
  }
}

}  // namespace adascale
