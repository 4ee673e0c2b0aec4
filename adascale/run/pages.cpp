#include "adascale/run/pages.h"

#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/formats/folder_files.h"
#include "adascale/run/page_texts.h"

namespace adascale {
namespace {

/// What a page has beside the frame.
struct PageKind {
  std::string title, without_scripts;
  std::vector<std::string> scripts;  ///< after those that all pages have
};

std::string text_of(const std::string& name) {
  const EmbeddedText* found = nullptr;
  for (const EmbeddedText& text : page_texts())
    if (std::string(text.name).ends_with("/" + name)) found = &text;
  ADA_ASSERT(found != nullptr, "a page includes a text that is not embedded");
  return found->text;
}

/// In a script element "</script" ends the data, and "<!--" makes the browser overlook that end: no "<" is left.
std::string escaped(const std::string& json) {
  std::string text;
  for (const char c : json) text += c == '<' ? "\\u003c" : std::string(1, c);
  return text;
}

std::string scripts_of(const PageKind& kind) {
  std::string text;
  for (const char* name : {"elements.js", "charts.js", "frame.js"}) text += text_of(name);
  for (const std::string& name : kind.scripts) text += text_of(name);
  return text;
}

/// page.html with each {{name}} replaced: by the page's own text of that name, else by the file's.
std::string page_of(const PageKind& kind, const std::string& data) {
  const std::map<std::string, std::string> own = {
      {"title", kind.title},
      {"without_scripts", kind.without_scripts},
      {"data", escaped(nlohmann::ordered_json::parse(data).dump())},
      {"scripts", scripts_of(kind)}};
  const std::string begin = "{{", end = "}}", html = page_texts().front().text;
  std::string page = kPageMark;
  size_t done = 0;
  for (size_t open = html.find(begin); open != std::string::npos; open = html.find(begin, done)) {
    const size_t close = html.find(end, open);
    const std::string name = html.substr(open + begin.size(), close - open - begin.size());
    const auto found = own.find(name);
    page += html.substr(done, open - done) + (found == own.end() ? text_of(name) : found->second);
    done = close + end.size();
  }
  return page + html.substr(done);
}

}  // namespace

std::string report_page(const std::string& report_json) {
  return page_of({.title = "adascale report",
                  .without_scripts = "<code>report.json</code> beside it has the same numbers.",
                  .scripts = {"report.js", "summary.js", "blocks.js", "layers.js", "page.js"}},
                 report_json);
}

std::string evaluation_page(const std::string& evaluation_json) {
  return page_of({.title = "adascale evaluation",
                  .without_scripts = "The command prints the metrics as a table.",
                  .scripts = {"divergence.js", "evaluation.js"}},
                 evaluation_json);
}

std::string inspection_page(const std::string& inspection_json) {
  return page_of({.title = "adascale inspection",
                  .without_scripts = "The command prints the same as tables.",
                  .scripts = {"inspection.js"}},
                 inspection_json);
}

}  // namespace adascale
