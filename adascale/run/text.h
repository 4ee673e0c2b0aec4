#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace adascale {

using Row = std::vector<std::string>;

/// Columns separated by two spaces; the first row is underlined with dashes. Ends with a newline.
std::string format_table(const std::vector<Row>& rows);

/// "812 B", "3.4 kB", "90.9 MB": powers of 1000.
std::string format_bytes(int64_t bytes);
/// The inverse: "90MB", "1.5 GB", "64MiB", "812"; k, M, G, T are powers of 1000, with an i of 1024, in either case.
/// Nothing for other texts.
std::optional<int64_t> parse_bytes(const std::string& text);

/// "0.4 s", "45 s", "12 min", "3 h 20 min", "52 h".
std::string format_seconds(double seconds);

}  // namespace adascale
