#pragma once
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/formats/format.h"

// What is checked before a whole model (export) or one in parts (export_parts) is written.
namespace adascale {

/// Objects to a prefix that is no bare file name.
void check_prefix(const std::string& prefix, Objections& objections);
/// Objects to activation quantizers without encodings where a format would hold them.
void check_calibrated(const QuantizationSimModel& sim, const std::vector<ChosenFormat>& formats,
                      Objections& objections);
/// Objects to NaN and infinite scales: JSON has none, and a reader would fail far from the cause.
void check_scales(const QuantizationSimModel& sim, Objections& objections);

}  // namespace adascale
