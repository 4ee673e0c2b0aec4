#include "adascale/run/call_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

#include "adascale/core/spelling.h"

namespace adascale {
namespace {

/// They leave the files as they are: `resume` belongs to one attempt, the others to the machine.
const std::set<std::string>& of_the_machine() {
  static const std::set<std::string> names = {
      "activation_memory", "checkpoint_dir", "deterministic", "device", "resume", "device_activation_memory"};
  return names;
}

bool is_python() {
  return present_spelling() == Spelling::kKeyword;
}

bool is_plain(unsigned char c) {
  return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
}

/// Quoted as a shell and Python read it.
std::string quoted(const std::string& text) {
  return is_python() ? fmt::format("\"{}\"", text) : fmt::format("'{}'", text);
}

std::string word(const std::string& text, const std::string& placeholder) {
  const auto may_be_quoted = [](unsigned char c) {
    return c >= 0x80 || is_plain(c) ||
           std::string_view(" :*?+,=@()[]{}#~").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (text.empty() || text.starts_with("-") || !std::all_of(text.begin(), text.end(), may_be_quoted))
    return is_python() ? quoted(placeholder) : placeholder;
  return is_python() || !std::all_of(text.begin(), text.end(), is_plain) ? quoted(text) : text;
}

/// A visitor that collects the options that are not as they are without being given.
class GivenOptions {
 public:
  explicit GivenOptions(const OptionTexts::Texts& asked) : asked_(asked) {
    const QuantizeRequest untouched;
    visit_request_options(OptionTexts(defaults_), untouched);
  }

  template <class Value>
  void operator()(const std::string& name, const Value& value, const std::string&, const OptionRule&) {
    const auto asked = asked_.find(name);
    const bool is_given = asked != asked_.end() && asked->second != defaults_.at(name);
    if (is_given && !of_the_machine().contains(name)) add(name, value);
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  void put(const std::string& name, const std::string& value) {
    texts_.push_back(fmt::format("{}{}{}", option(name), is_python() ? "=" : " ", value));
  }
  void add(const std::string& name, bool value) { texts_.push_back(option(name, value)); }
  void add(const std::string& name, int64_t value) { put(name, std::to_string(value)); }
  void add(const std::string& name, double value) { put(name, fmt::format("{}", value)); }
  void add(const std::string& name, const std::optional<int64_t>& value) {
    if (value) add(name, *value);
  }
  void add(const std::string& name, const std::string& value) {
    put(name, word(name == "config" ? name_of(value) : value, "FILE"));
  }
  void add(const std::string& name, const std::vector<double>& values) {
    std::vector<std::string> words;
    for (const double value : values) words.push_back(fmt::format("{}", value));
    put_list(name, words);
  }
  void add(const std::string& name, const std::vector<std::string>& values) {
    std::vector<std::string> words;
    for (const std::string& value : values) words.push_back(word(value, "GLOB"));
    put_list(name, words);
  }
  void put_list(const std::string& name, const std::vector<std::string>& words) {
    put(name,
        is_python() ? fmt::format("[{}]", fmt::join(words, ", ")) : fmt::format("{}", fmt::join(words, " ")));
  }

  const OptionTexts::Texts& asked_;
  OptionTexts::Texts defaults_;
  std::vector<std::string> texts_;
};

std::vector<std::string> given_options(const RunPlan& plan) {
  GivenOptions given(plan.training.asked);
  visit_request_options(given, plan.request);
  std::vector<std::string> texts = given.texts();
  if (!plan.request.sim.layer_config.empty())
    texts.push_back(is_python() ? option("layer_config") + "=..." : option("layer_config") + " FILE");
  return texts;
}

/// A path or "package.module:function"; a module in memory has neither.
bool is_in_memory(const std::string& model) {
  return !std::filesystem::exists(model) && model.find(':') == std::string::npos;
}

std::string python_call(const RunPlan& plan) {
  const QuantizeRequest& request = plan.request;
  std::vector<std::string> data, formats;
  for (const std::string& file : request.data.files) data.push_back(word(name_of(file), "FILE"));
  for (const std::string& format : request.formats) formats.push_back(quoted(format));
  std::vector<std::string> arguments = {
      is_in_memory(request.model) ? "model" : word(name_of(request.model), "MODEL"), "\"out\"",
      data.empty()       ? "data"
      : data.size() == 1 ? data.front()
                         : fmt::format("[{}]", fmt::join(data, ", "))};
  for (const std::string& text : given_options(plan)) arguments.push_back(text);
  if (!formats.empty()) arguments.push_back(fmt::format("formats=[{}]", fmt::join(formats, ", ")));
  return fmt::format("adascale.quantize({})", fmt::join(arguments, ", "));
}

std::string command(const RunPlan& plan) {
  const QuantizeRequest& request = plan.request;
  std::vector<std::string> words = {"adascale quantize", word(name_of(request.model), "MODEL"),
                                    option("data")};
  for (const std::string& file : request.data.files) words.push_back(word(name_of(file), "FILE"));
  if (request.data.files.empty()) words.emplace_back("FILE");
  for (const std::string& text : given_options(plan)) words.push_back(text);
  for (const std::string& format : request.formats) words.push_back(option("formats", format));
  words.push_back(option("output_dir", "out"));
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace

std::string name_of(const std::string& path) {
  const std::filesystem::path whole = path;
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

std::string how_to_load(const ExportFormat& format, const std::string& prefix) {
  const bool fits = !prefix.starts_with("-") && std::all_of(prefix.begin(), prefix.end(), is_plain);
  return fits ? output_file(format.how_to_load, prefix) : format.how_to_load;
}

std::string call_of(const RunPlan& plan) {
  const SpellingScope spelling(is_python() ? Spelling::kKeyword : Spelling::kFlag);
  return is_python() ? python_call(plan) : command(plan);
}

}  // namespace adascale
