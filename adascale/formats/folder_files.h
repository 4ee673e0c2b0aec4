#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace adascale {

/// Relative paths, sorted: of weights in any format, and of the model's other files.
struct ModelFiles {
  std::vector<std::string> weights, companions;
};
/// The file beside a run's others that says what was decided and what came of it.
inline constexpr char kReportFile[] = "report.json";
/// The same as a page for people; it begins with kPageMark.
inline constexpr char kReportPage[] = "report.html";
inline constexpr char kPageMark[] = "<!doctype html><!-- adascale report -->";

/// Whether the file is a page that adascale wrote.
bool is_our_page(const std::string& path);

/// A folder's model card. Ours holds kCardMark: a run writes it anew, and takes no other file for its own.
inline constexpr char kCardFile[] = "README.md";
inline constexpr char kCardMark[] =
    "<!-- adascale model card: the next run into this folder writes it anew, unless this line is gone. -->";
bool is_our_card(const std::string& path);

/// All files below a model's folder except hidden ones, Python's caches and the reports and model card of a run
/// that wrote it. Throws (user) when it cannot be listed.
ModelFiles list_model_files(const std::string& folder);

/// Reads a JSON object. Throws (user), naming `path`, when the file cannot be opened
/// or holds something else.
nlohmann::ordered_json read_config(const std::string& path);
/// All throw (user), naming `path` and the system's reason, when it cannot be written completely.
void write_json(const std::string& path, const nlohmann::ordered_json& json);
void write_text_file(const std::string& path, const std::function<void(std::ostream&)>& write);
void copy_file(const std::string& from, const std::string& path);

}  // namespace adascale
