#include <fmt/ranges.h>

#include <map>
#include <tuple>

#include "adascale/formats/encodings/files.h"
#include "adascale/formats/encodings/reader.h"
#include "adascale/formats/saved_state.h"

namespace adascale {
namespace {

template <class T>
std::string difference(const char* what, const std::vector<T>& got, const at::Tensor& expected) {
  const at::Tensor held = expected.flatten().contiguous();
  const std::vector<T> numbers(held.const_data_ptr<T>(), held.const_data_ptr<T>() + held.numel());
  if (got.size() != numbers.size())
    return fmt::format("got {} {}s, expected {}", got.size(), what, numbers.size());
  for (size_t i = 0; i < got.size(); ++i)
    if (got[i] != numbers[i]) return fmt::format("{} {}: got {}, expected {}", what, i, got[i], numbers[i]);
  return "";
}

template <class T>
std::string difference(const char* what, const T& got, const T& expected) {
  return got == expected ? "" : fmt::format("{}: got {}, expected {}", what, got, expected);
}

/// How the entry differs from the record that was written; empty: it does not.
std::string difference(const FileEntry& entry, const EncodingRecord& record) {
  std::vector<int64_t> lowest = entry.lowest;
  if (lowest.size() == 1) lowest.resize(record.lowest.numel(), lowest.front());
  // LPBQ in 0.6.1 is written as the products.
  const bool is_lpbq = record.is_lpbq() && !entry.block_scales.empty();
  const std::string found[] = {
      difference("bits", entry.bits, record.bits),
      difference("is symmetric", entry.symmetric.value_or(record.symmetric), record.symmetric),
      difference("is signed", entry.says_axis ? entry.is_signed : record.is_signed, record.is_signed),
      difference("block size", entry.block_size > 0 ? entry.block_size : record.block_size,
                 record.block_size),
      difference("scale", entry.scales, is_lpbq ? record.channel_scale : record.scale),
      is_lpbq ? difference("block scale", entry.block_scales, record.block_scale) : "",
      difference("offset", lowest, record.lowest)};
  for (const std::string& text : found)
    if (!text.empty()) return text;
  return "";
}

/// The entries that a file should hold, each once.
class ExpectedEntries {
 public:
  explicit ExpectedEntries(const std::string& path) : path_(path) {}

  void add(EncodingRecord record, const std::string& port = "", int64_t index = 0) {
    const std::string name = record.name;
    expected_.emplace(Key{name, port, index}, [kept = std::move(record)] { return kept; });
  }

  /// Their records are made when they are compared: together they are as large as the file.
  void add_weights(const QuantizationSimModel& sim) {
    for (const SavedTensor& saved : saved_state(sim))
      if (saved.weight != kNone)
        for (const std::string& name : saved.names)
          expected_.emplace(Key{name, "", 0},
                            [&sim, weight = saved.weight] { return record_of(sim.weight_encoding(weight)); });
  }

  /// In 2.x a weight and an activation may have one name.
  void take(const FileEntry& entry) {
    std::string why = "got an entry that was not written";
    const auto [first, last] = expected_.equal_range({entry.name, entry.port, entry.index});
    for (auto candidate = first; candidate != last; ++candidate) {
      why = difference(entry, candidate->second());
      if (why.empty()) return void(expected_.erase(candidate));
    }
    fail("{}: {}: {}", path_, entry.name, why);
  }

  void expect_no_more() const {
    ADA_CHECK(expected_.empty(), "{}: got no entry of {}, expected one", path_,
              std::get<0>(expected_.begin()->first));
  }

 private:
  using Key = std::tuple<std::string, std::string, int64_t>;  // name, port, index
  const std::string& path_;
  std::multimap<Key, std::function<EncodingRecord()>> expected_;
};

void expect_entries(const std::string& path, const std::string& version, ExpectedEntries& expected) {
  const std::string got = visit_encodings(path, [&](const FileEntry& entry) { expected.take(entry); });
  ADA_CHECK(got == version, "{}: version: got {}, expected {}", path, got, version);
  expected.expect_no_more();
}

}  // namespace

void expect_encodings_by_module(const std::string& path, const std::vector<EncodedPart>& parts,
                                const std::string& version) {
  ExpectedEntries expected(path);
  for (const EncodedPart& part : parts) {
    expected.add_weights(part.sim);
    for (const ActivationQuantizer& quantizer : part.sim.activations())
      if (quantizer.encoding)
        expected.add(record_of(quantizer, name_in_model(quantizer.module, part.path)), quantizer.port,
                     quantizer.index);
  }
  expect_entries(path, version_by_module(version), expected);
}

void expect_encodings_by_tensor(const std::string& path, const QuantizationSimModel& sim,
                                const std::string& version) {
  ExpectedEntries expected(path);
  expected.add_weights(sim);
  for (const EncodingRecord& record : activation_records(sim)) expected.add(record);
  if (version.starts_with("2."))
    for (const EncodingRecord& record : bias_records(sim)) expected.add(record);
  expect_entries(path, version, expected);
}

}  // namespace adascale
