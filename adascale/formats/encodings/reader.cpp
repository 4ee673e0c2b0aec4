#include "adascale/formats/encodings/reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "adascale/formats/format.h"

namespace adascale {
namespace {

/// Reads entries; each bad one becomes an objection.
class EntryList {
 public:
  explicit EntryList(Objections& objections) : objections_(objections) {}

  void add(const std::function<FileEntry()>& read) {
    try {
      entries_.push_back(read());
    } catch (const Error& error) {  // boundary: one objection among others
      if (error.fault() == Error::Fault::kInternal) throw;
      objections_.add("{}", error.what());
    }
  }
  std::vector<FileEntry> take() { return std::move(entries_); }

 private:
  Objections& objections_;
  std::vector<FileEntry> entries_;
};

int64_t read_index(const std::string& key, const JsonReader& reader) {
  const bool is_index = !key.empty() && key.size() <= 4 &&
                        std::all_of(key.begin(), key.end(), [](char c) { return '0' <= c && c <= '9'; });
  ADA_CHECK(is_index, "{}: got the key '{}', expected the index of an input or output", reader.where(), key);
  return std::stoll(key);
}

/// {"input": {"0": entry}, "output": {"0": entry}}.
void read_ports(const std::string& module, const JsonReader& ports, EntryList& entries) {
  for (const auto& [port, indices] : ports.members({"input", "output"}))
    for (const auto& [key, reader] : indices.members())
      entries.add([&, &port = port, &key = key, &reader = reader] {
        const int64_t index = read_index(key, reader);
        FileEntry entry = read_legacy_entries(module, reader);
        entry.port = port;
        entry.index = index;
        return entry;
      });
}

void read_activations_by_name(const JsonReader& section, EntryList& entries) {
  for (const auto& [name, reader] : section.members()) {
    if (reader.is_object() && (reader.find("input") || reader.find("output")))
      read_ports(name, reader, entries);
    else
      entries.add([&, &name = name, &reader = reader] { return read_legacy_entries(name, reader); });
  }
}

using ReadEntry = FileEntry (*)(const JsonReader&);

void read_list(const JsonReader& section, ReadEntry read, EntryList& entries) {
  for (const JsonReader& reader : section.items()) entries.add([&] { return read(reader); });
}

/// Runs `read` and adds its error to the objections, beside those of the other sections.
void guarded(Objections& objections, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {  // boundary: one objection among others
    if (error.fault() == Error::Fault::kInternal) throw;
    objections.add("{}", error.what());
  }
}

/// AIMET's save_encodings_to_json writes no version.
void check_version(const JsonReader& file) {
  const auto version = file.find("version");
  if (!version) return;
  const auto& known = encoding_versions();
  ADA_CHECK(std::find(known.begin(), known.end(), version->text()) != known.end(),
            "{}: got version '{}', expected one of {}", file.where(), version->text(),
            fmt::join(known, ", "));
}

}  // namespace

std::vector<FileEntry> read_encodings(const std::string& text, const std::string& origin,
                                      Objections& objections) {
  return entries_of(parse_json(text, origin), origin, objections);
}

std::vector<FileEntry> entries_of(const OrderedJson& document, const std::string& origin,
                                  Objections& objections) {
  const JsonReader file(document, origin);
  check_version(file);
  const auto all = file.find("encodings"), params = file.find("param_encodings"),
             activations = file.find("activation_encodings");
  ADA_CHECK(all || params || activations,
            "{}: is no encodings file: "
            "it has neither 'param_encodings' and 'activation_encodings' nor 'encodings'",
            origin);
  EntryList entries(objections);
  if (all) guarded(objections, [&] { read_list(*all, read_entry_2, entries); });
  if (params)
    guarded(objections, [&] {
      if (params->is_list()) return read_list(*params, read_entry_1_0_0, entries);
      for (const auto& [name, reader] : params->members())
        entries.add([&, &name = name, &reader = reader] { return read_legacy_entries(name, reader); });
    });
  if (activations)
    guarded(objections, [&] {
      if (activations->is_list()) return read_list(*activations, read_entry_1_0_0, entries);
      read_activations_by_name(*activations, entries);
    });
  return entries.take();
}

int read_bits(const JsonReader& reader) {
  const int64_t bits = reader.integer();
  ADA_CHECK((bits >= 2 && bits <= 16) || bits == kBiasBits,
            "{}: got {} bits, expected 2 to 16 (or 32 for a bias)", reader.where(), bits);
  return static_cast<int>(bits);
}

float read_scale(const JsonReader& reader) {
  const double scale = reader.number();
  const bool fits = scale >= std::numeric_limits<float>::min() && scale <= std::numeric_limits<float>::max();
  ADA_CHECK(fits, "{}: got {}, expected a scale: a positive number of float32", reader.where(), scale);
  return static_cast<float>(scale);
}

int64_t read_offset(const JsonReader& reader) {
  constexpr double kFarthest = 2147483648.0;
  const double offset = reader.number();
  ADA_CHECK(std::abs(offset) <= kFarthest && std::trunc(offset) == offset,
            "{}: got {}, expected an integer of 32 bits", reader.where(), offset);
  return static_cast<int64_t>(offset);
}

void check_ends(const FileEntry& entry) {
  if (entry.bits == kBiasBits) return;
  int64_t largest = 1;
  for (const int64_t scale : entry.block_scales) largest = std::max(largest, scale);
  const double steps = std::ldexp(static_cast<double>(largest), entry.bits);
  for (const float scale : entry.scales)
    ADA_CHECK(scale * steps <= std::numeric_limits<float>::max(),
              "{}: got the scale {}, which makes numbers that float32 does not hold", entry.where, scale);
  const int64_t around_zero = -(int64_t{1} << (entry.bits - 1)), farthest = 1 - (int64_t{1} << entry.bits);
  for (const int64_t lowest : entry.lowest) {
    if (entry.symmetric.value_or(false))
      ADA_CHECK(lowest == around_zero, "{}: got offset {} of a symmetric grid of {} bits, expected {}",
                entry.where, lowest, entry.bits, around_zero);
    ADA_CHECK(lowest <= 0 && lowest >= farthest,
              "{}: the lowest code stands for {} steps, expected {} to 0: zero must be on a grid of {} bits",
              entry.where, lowest, farthest, entry.bits);
  }
}

}  // namespace adascale
