#pragma once
#include <utility>

#include "adascale/sim/quantsim.h"
#include "fuzz/fuzz.h"

namespace adascale::fuzz {

/// A program that was read is quantized, or refused by any objection: its file is out of sight by then.
inline void expect_simulation_or_objection(Program program, SimOptions options = {}) {
  silence_notes();
  expect_result_or_objection(
      "", [&] { QuantizationSimModel(std::move(program), std::move(options)).describe(); });
}

}  // namespace adascale::fuzz
