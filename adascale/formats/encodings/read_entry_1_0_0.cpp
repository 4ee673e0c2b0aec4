#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/formats/encodings/reader.h"

namespace adascale {
namespace {

void check_type(const JsonReader& reader, const std::string& type) {
  static const std::vector<std::string> known = {"PER_TENSOR", "PER_CHANNEL", "PER_BLOCK", "LPBQ"};
  ADA_CHECK(std::find(known.begin(), known.end(), type) != known.end(),
            "{}: got enc_type '{}', expected one of {}", reader.where(), type, fmt::join(known, ", "));
}

void read_lpbq(const JsonReader& reader, int bits, FileEntry& entry) {
  entry.bits = read_bits(reader.get("compressed_bw"));
  ADA_CHECK(bits > entry.bits && bits <= 16,
            "{}: got bw {} and compressed_bw {}, expected more bits in bw, up to 16", entry.where, bits,
            entry.bits);
  entry.block_scale_bits = bits - entry.bits;
  for (const JsonReader& item : reader.get("per_block_int_scale").items()) {
    const int64_t scale = item.integer();
    ADA_CHECK(scale >= 1 && scale <= int64_t{1} << entry.block_scale_bits, "{}: got {}, expected 1 to {}",
              item.where(), scale, int64_t{1} << entry.block_scale_bits);
    entry.block_scales.push_back(scale);
  }
  ADA_CHECK(!entry.block_scales.empty() && *entry.symmetric,
            "{}: LPBQ is of a symmetric grid, and has integer scales", entry.where);
  // The offsets belong to the wider grid; those of the codes follow from their bits.
  entry.lowest = {-(int64_t{1} << (entry.bits - 1))};
  entry.shape = {static_cast<int64_t>(entry.block_scales.size())};
}

}  // namespace

FileEntry read_entry_1_0_0(const JsonReader& reader) {
  FileEntry entry{.where = reader.where(), .name = reader.get("name").text()};
  entry.where += fmt::format(" ({})", entry.name);
  const std::string dtype = reader.get("dtype").text();
  ADA_CHECK(dtype == "INT",
            "{}: got dtype '{}', expected INT: float quantization is not simulated; take it out", entry.where,
            dtype);
  entry.type = reader.get("enc_type").text();
  check_type(reader, entry.type);
  const int bits = entry.bits = read_bits(reader.get("bw"));
  entry.symmetric = reader.get("is_sym").boolean();
  for (const JsonReader& item : reader.get("scale").items()) entry.scales.push_back(read_scale(item));
  for (const JsonReader& item : reader.get("offset").items()) entry.lowest.push_back(read_offset(item));
  ADA_CHECK(!entry.scales.empty() && entry.scales.size() == entry.lowest.size(),
            "{}: got {} scales and {} offsets, expected as many of both", entry.where, entry.scales.size(),
            entry.lowest.size());
  ADA_CHECK(!reader.find("zero_point_shift"), "{}: zero_point_shift: grids without a zero are not simulated",
            entry.where);
  entry.shape = {static_cast<int64_t>(entry.scales.size())};
  const bool has_blocks = entry.type == "PER_BLOCK" || entry.type == "LPBQ";
  if (has_blocks) {
    entry.block_size = reader.get("block_size").integer();
    ADA_CHECK(entry.block_size > 0, "{}: got block_size {}, expected a positive one", entry.where,
              entry.block_size);
  }
  if (entry.type == "LPBQ") read_lpbq(reader, bits, entry);
  check_ends(entry);
  return entry;
}

}  // namespace adascale
