#pragma once
#include <CLI/CLI.hpp>

#include "adascale/run/door.h"

namespace adascale {

/// `--data FILE...` and a flag per data option; returns the former.
CLI::Option* add_data_flags(CLI::App& app, DataRequest& data, const Doors& doors);

}  // namespace adascale
