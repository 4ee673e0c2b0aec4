#pragma once
#include <string>

#include "adascale/run/bit_choice.h"

namespace adascale {

/// The choice for people, as lines of a plan, the first without its heading: mean, widths, what is expected of it beside
/// one width for all, and the layers that got the most and the fewest bits.
std::string describe_bits(const BitChoice& choice);

/// The same as one object of report.json.
std::string bits_json(const BitChoice& choice);

}  // namespace adascale
