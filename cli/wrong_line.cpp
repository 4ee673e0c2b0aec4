#include "cli/wrong_line.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "adascale/core/error.h"
#include "adascale/core/words.h"

namespace adascale {
namespace {

using Options = std::vector<const CLI::Option*>;

std::string name_of(const CLI::Option& option) {
  return option.get_positional() ? option.get_name(true, false) : "--" + option.get_lnames().front();
}

bool is_switch(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

/// What the word in the help stands for.
std::string expected_by(const CLI::Option& option) {
  static const std::map<std::string, std::string> kinds = {{"N", "a whole number"}, {"X", "a number"},
                                                           {"FILE", "a file"},      {"DIR", "a folder"},
                                                           {"NAME", "a name"},      {"TEXT", "a text"}};
  const auto kind = kinds.find(option.get_type_name());
  return kind == kinds.end() ? "a value" : kind->second;
}

template <class Value>
bool converts(const std::string& text) {
  Value value{};
  return CLI::detail::lexical_cast(text, value);
}

bool takes(const CLI::Option& option, const std::string& text) {
  if (is_switch(option)) return converts<bool>(text);
  if (option.get_type_name() == "N") return converts<int64_t>(text);
  if (option.get_type_name() == "X") return converts<double>(text);
  return true;
}

void check_values(const CLI::Option& option, Objections& objections) {
  const std::string name = name_of(option);
  const std::vector<std::string>& given = option.results();
  for (const std::string& value : given)
    if (!takes(option, value))
      objections.add("{}: got '{}', expected {}", name, value,
                     is_switch(option) ? "no value: the name alone turns it on" : expected_by(option));
  const size_t most = std::max(1, option.get_items_expected_max());
  if (!is_switch(option) && given.size() > most)
    objections.add("{}: is given {} times ({}), expected once; leave one of them out", name, given.size(),
                   fmt::join(given, ", "));
}

/// An option that has a value, but stands at the end of the line, before another one, or before an `=` alone.
void check_has_values(const CLI::App& command, const std::vector<std::string>& args, Objections& objections) {
  for (size_t i = 0; i < args.size(); ++i) {
    const bool is_cut = args[i].ends_with('=');
    const std::string name = args[i].substr(0, args[i].size() - is_cut);
    const CLI::Option* option = name.starts_with("--") ? command.get_option_no_throw(name) : nullptr;
    if (option == nullptr || is_switch(*option)) continue;
    const bool is_last = i + 1 == args.size();
    if (is_cut || is_last ||
        (args[i + 1].starts_with("--") && command.get_option_no_throw(args[i + 1]) != nullptr))
      objections.add("{}: got nothing, expected {} behind it", name, expected_by(*option));
  }
}

void check_required(const CLI::App& command, const Options& options, Objections& objections) {
  std::vector<std::string> missing, usage;
  for (const CLI::Option* option : options) {
    if (!option->get_required()) continue;
    const std::string name = name_of(*option);
    usage.push_back(option->get_positional() ? name : name + " " + option->get_type_name());
    if (option->count() == 0) missing.push_back(name);
  }
  if (!missing.empty())
    objections.add("{} missing: {}; expected adascale {} {}",
                   missing.size() == 1 ? "one argument is" : "arguments are", fmt::join(missing, ", "),
                   command.get_name(), fmt::join(usage, " "));
}

// CLI11 lists all that it could not place, last first.
[[noreturn]] void refuse_rest(const CLI::App& command, const Options& options) {
  const std::vector<std::string> rest = command.remaining();
  const auto flag =
      std::find_if(rest.begin(), rest.end(), [](const std::string& word) { return word.starts_with("-"); });
  ADA_CHECK(flag != rest.end(), "{}: is one argument too many; adascale {} --help shows what it takes",
            fmt::join(rest, " "), command.get_name());
  std::vector<std::string> known;
  for (const CLI::Option* option : options)
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  fail("{}: is no option of adascale {}{}", *flag, command.get_name(), did_you_mean(*flag, known));
}

}  // namespace

void check_first_word(const std::vector<std::string>& args, const CLI::App& app) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(command->get_name());
  const std::string known = fmt::format("{}", fmt::join(commands, ", "));
  ADA_CHECK(!args.empty(), "got no command, expected one of {}; adascale --help says what each does", known);
  const std::string& word = args.front();
  if (word.starts_with("-"))
    ADA_CHECK(app.get_option_no_throw(word) != nullptr,
              "{}: is no option of adascale itself; give it behind a command: {}", word, known);
  else
    ADA_CHECK(std::find(commands.begin(), commands.end(), word) != commands.end(),
              "no command is called '{}'; there are {}{}", word, known, did_you_mean(word, commands));
}

void refuse_line(const CLI::App& command, const std::vector<std::string>& args,
                 const CLI::ParseError& error) {
  const Options options = command.get_options();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) refuse_rest(command, options);
  Objections objections;
  check_has_values(command, args, objections);
  for (const CLI::Option* option : options) check_values(*option, objections);
  // The others are thrown before all words are read, and an option without its value may take the next one.
  if (objections.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
    check_required(command, options, objections);
  objections.raise();
  fail("{}; adascale {} --help shows what it takes", error.what(), command.get_name());
}

}  // namespace adascale
