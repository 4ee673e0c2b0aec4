#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "adascale/run/request.h"

namespace adascale {

/// A request and the parts of it that the command line gives in another form.
struct QuantizeFlags {
  QuantizeRequest request;
  std::string layer_config;  ///< a file
  /// The request with the file read. Throws (user).
  QuantizeRequest read() const;
};

/// Grids, blocks and layer settings, for `inspect` and `quantize`.
void add_grid_flags(CLI::App& app, QuantizeFlags& flags);
/// How blocks are trained.
void add_training_flags(CLI::App& app, QuantizeFlags& flags);

}  // namespace adascale
