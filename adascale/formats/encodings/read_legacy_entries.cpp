#include <algorithm>
#include <cctype>
#include <cmath>

#include "adascale/formats/encodings/reader.h"

namespace adascale {
namespace {

/// AIMET's "True" and "False", in any case, or JSON's own.
bool read_truth(const JsonReader& reader) {
  if (reader.is_boolean()) return reader.boolean();
  std::string text = reader.text();
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  ADA_CHECK(text == "true" || text == "false", "{}: got '{}', expected \"True\" or \"False\"", reader.where(),
            reader.text());
  return text == "true";
}

void check_is_plain(const JsonReader& reader) {
  const std::string dtype = reader.get("dtype").text();
  ADA_CHECK(dtype == "int",
            "{}: got dtype '{}', expected int: float quantization is not simulated; take it out",
            reader.where(), dtype);
  if (const auto shift = reader.find("zero_point_shift"))
    ADA_CHECK(shift->number() == 0, "{}: got {}, expected 0: grids without a zero are not simulated",
              shift->where(), shift->number());
  ADA_CHECK(!reader.find("rows_per_block"), "{}: vector quantization is not simulated; take it out",
            reader.where());
}

/// Other readers only use min and max.
void check_range(const JsonReader& reader, float scale, int64_t lowest, int bits) {
  const auto check = [&](const char* key, int64_t steps) {
    const auto end = reader.find(key);
    if (!end) return;
    const double expected = static_cast<double>(scale) * static_cast<double>(steps);
    ADA_CHECK(std::abs(end->number() - expected) <= scale, "{}: got {}, expected {}: scale times {}",
              end->where(), end->number(), expected, steps);
  };
  check("min", lowest);
  check("max", lowest + (int64_t{1} << bits) - 1);
}

}  // namespace

FileEntry read_legacy_entries(const std::string& name, const JsonReader& reader) {
  FileEntry entry{.where = reader.where(), .name = name};
  const std::vector<JsonReader> items = reader.is_object() ? std::vector<JsonReader>{reader} : reader.items();
  ADA_CHECK(!items.empty(), "{}: got an empty list, expected an entry a scale", entry.where);
  for (const JsonReader& item : items) {
    check_is_plain(item);
    const int bits = read_bits(item.get("bitwidth"));
    const bool symmetric = read_truth(item.get("is_symmetric"));
    const bool is_first = entry.scales.empty();
    ADA_CHECK(is_first || (bits == entry.bits && symmetric == entry.symmetric),
              "{}: differs from the first in bitwidth or is_symmetric, which one tensor has once",
              item.where());
    entry.bits = bits;
    entry.symmetric = symmetric;
    entry.scales.push_back(read_scale(item.get("scale")));
    entry.lowest.push_back(read_offset(item.get("offset")));
    if (bits != kBiasBits) check_range(item, entry.scales.back(), entry.lowest.back(), bits);
  }
  entry.shape = {static_cast<int64_t>(items.size())};
  check_ends(entry);
  return entry;
}

}  // namespace adascale
