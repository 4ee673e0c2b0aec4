#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace adascale {

/// What `inspect` shows of the report.json of the run that wrote `file`, as stored_json has it. null: another program's
/// file, or of a run that wrote other files. Throws (user), naming `path`, where it is damaged.
/// `text`: the content of `path`.
nlohmann::ordered_json read_stored_report(const std::string& text, const std::string& path,
                                          const std::string& file);

}  // namespace adascale
