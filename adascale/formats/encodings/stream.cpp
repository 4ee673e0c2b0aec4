#include <cerrno>
#include <cstring>
#include <fstream>

#include "adascale/formats/encodings/reader.h"

namespace adascale {
namespace {

constexpr const char *kParameters = "param_encodings", *kAll = "encodings";

/// The parser's callback: hands on each whole entry of these sections, and forgets it.
class EntryTaker {
 public:
  EntryTaker(const std::string& path, const VisitEntry& visit) : path_(path), visit_(visit) {}

  bool operator()(int depth, OrderedJson::parse_event_t event, OrderedJson& parsed) {
    using Event = OrderedJson::parse_event_t;
    if (event == Event::key && depth == 1) section_ = parsed.get<std::string>();
    if (event == Event::key && depth == 2) name_ = parsed.get<std::string>();
    const bool is_end = event == Event::array_end || event == Event::object_end;
    if (!is_end || depth != 2 || (section_ != kParameters && section_ != kAll)) return true;
    visit_(read(parsed));
    return false;
  }

 private:
  FileEntry read(const OrderedJson& parsed) const {
    const std::string where = path_ + ": " + section_;
    if (parsed.is_array()) return read_legacy_entries(name_, {parsed, where + "." + name_});
    return section_ == kAll ? read_entry_2({parsed, where}) : read_entry_1_0_0({parsed, where});
  }

  const std::string& path_;
  const VisitEntry& visit_;
  std::string section_, name_;  // of the entry being read; one in a list has its own name
};

}  // namespace

std::string visit_encodings(const std::string& path, const VisitEntry& visit) {
  std::ifstream file(path);
  ADA_CHECK(file, "{}: cannot be read: {}", path, std::strerror(errno));
  EntryTaker taker(path, visit);
  OrderedJson rest;
  try {
    rest = OrderedJson::parse(file, [&](int depth, OrderedJson::parse_event_t event, OrderedJson& parsed) {
      return taker(depth, event, parsed);
    });
  } catch (const OrderedJson::exception& error) {  // boundary: the JSON library
    fail("{}: not valid JSON: {}", path, reason_of(error));
  }
  for (const char* section : {kParameters, kAll})
    if (rest.contains(section)) rest[section].clear();  // the parser leaves what was forgotten as such
  Objections objections;
  for (const FileEntry& entry : entries_of(rest, path, objections)) visit(entry);
  objections.raise();
  return JsonReader(rest, path).get("version").text();
}

}  // namespace adascale
