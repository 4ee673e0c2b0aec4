#include "adascale/run/report_page.h"

#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/formats/folder_files.h"
#include "adascale/run/page_texts.h"

namespace adascale {
namespace {

std::string text_of(const std::string& name) {
  const EmbeddedText* found = nullptr;
  for (const EmbeddedText& text : page_texts())
    if (std::string(text.name).ends_with("/" + name)) found = &text;
  ADA_ASSERT(found != nullptr, "page.html includes a text that is not embedded");
  return found->text;
}

/// In a script element "</script" ends the data, and "<!--" makes the browser overlook that end: no "<" is left.
std::string escaped(const std::string& json) {
  std::string text;
  for (const char c : json) text += c == '<' ? "\\u003c" : std::string(1, c);
  return text;
}

}  // namespace

std::string report_page(const std::string& report_json) {
  const std::string json = escaped(nlohmann::ordered_json::parse(report_json).dump());  // in one line
  const std::string begin = "{{", end = "}}", html = page_texts().front().text;
  std::string page = kPageMark;
  size_t done = 0;
  for (size_t open = html.find(begin); open != std::string::npos; open = html.find(begin, done)) {
    const size_t close = html.find(end, open);
    const std::string name = html.substr(open + begin.size(), close - open - begin.size());
    page += html.substr(done, open - done) + (name == "report.json" ? json : text_of(name));
    done = close + end.size();
  }
  return page + html.substr(done);
}

}  // namespace adascale
