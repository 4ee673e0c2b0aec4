#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/run/door.h"
#include "adascale/run/setup.h"
#include "adascale/tune/report.h"

namespace adascale {

/// One run of `adascale quantize`, and of Python's `quantize()`.
struct QuantizeRun {
  QuantizeFlags quantize;
  DataRequest data;
  std::string model, output_dir;
  std::vector<std::string> formats;  ///< empty: the door's
  bool dry_run = false;
  std::function<void(const std::string& text)> say;  ///< prints text for the user: whole lines
};

/// Checks everything, opens the model and its data, says what will happen, trains and exports. No
/// report after a dry run. Throws as the parts do; the output folder is then unchanged.
std::optional<AdaScaleReport> quantize(QuantizeRun& run, const Door& door);

}  // namespace adascale
