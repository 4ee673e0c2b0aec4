#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

using Row = std::vector<std::string>;

/// Columns separated by two spaces; the first row is underlined with dashes. Ends with a newline.
std::string format_table(const std::vector<Row>& rows);

/// "812 B", "3.4 kB", "90.9 MB": powers of 1000.
std::string format_bytes(int64_t bytes);

/// "0.4 s", "45 s", "12 min", "3 h 20 min", "52 h".
std::string format_seconds(double seconds);

}  // namespace adascale
