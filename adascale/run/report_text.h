#pragma once
#include <string>

#include "adascale/tune/report.h"

namespace adascale {

/// A report on a terminal: whether it worked, and a table with a row per block. Ends with a newline.
std::string report_text(const AdaScaleReport& report);

/// The part of it above the table: what ran, whether it worked, by how much.
std::string report_summary(const AdaScaleReport& report);

/// The same as a piece of HTML without scripts, for a notebook: it takes the notebook's own colours and fonts.
std::string report_html(const AdaScaleReport& report);

}  // namespace adascale
