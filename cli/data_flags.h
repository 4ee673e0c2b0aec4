#pragma once
#include <CLI/CLI.hpp>

#include "cli/door.h"

namespace adascale {

/// `--data FILE...` and a flag per data option; returns the former.
CLI::Option* add_data_flags(CLI::App& app, DataRequest& data, const Doors& doors);

/// Checks ranges and the named files; throws (user) with all objections.
void check_data_options(const DataRequest& data);

}  // namespace adascale
