#pragma once
#include <CLI/CLI.hpp>

#include "adascale/run/setup.h"

namespace adascale {

/// Grids, blocks and layer settings, for `inspect` and `quantize`.
void add_grid_flags(CLI::App& app, QuantizeFlags& flags);
/// How blocks are trained.
void add_training_flags(CLI::App& app, QuantizeFlags& flags);

}  // namespace adascale
