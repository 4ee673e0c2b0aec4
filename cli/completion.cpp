#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <map>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/core/words.h"
#include "adascale/formats/format.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/run/request.h"
#include "adascale/tune/recipe.h"
#include "cli/commands.h"

namespace adascale {
namespace {

/// Without characters that a shell would read.
std::string plain(std::string text) {
  std::erase_if(text, [](char c) { return c == '\'' || c == '\\' || c == '\n' || c == '`'; });
  return text;
}

/// Of flags that have a few to choose from.
using Values = std::map<std::string, std::vector<std::string>>;

/// A visitor of options tables that collects the values of options that have a few.
struct ChoiceCollector {
  Values& found;

  template <class Value>
  void operator()(const std::string& name, const Value& value, const std::string& help,
                  const OptionRule& rule) {
    if (!rule.choices.empty()) found[flag_of(name)] = rule.choices;
  }
};

template <class Table>
std::vector<std::string> names_in(const Table& table) {
  std::vector<std::string> names;
  for (const auto& row : table) names.push_back(row.name);
  return names;
}

Values values_by_flag(const Runtimes& runtimes) {
  Values found;
  QuantizeRequest request;
  visit_request_options(ChoiceCollector{found}, request);
  found["--format"] = names_in(export_formats());
  found["--recipe"] = names_in(recipes());
  found["--scheme"] = names_in(range_schemes());
  found["--runtime"] = names_in(runtimes);
  return found;
}

struct Flag {
  std::string name, help;
  int most_values;                  ///< that it takes
  std::vector<std::string> values;  ///< none: numbers, files
};

std::vector<Flag> flags_of(const CLI::App& command, const Values& values) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      const auto known = values.find("--" + name);
      flags.push_back({"--" + name, plain(option->get_description()), option->get_items_expected_max(),
                       known == values.end() ? std::vector<std::string>{} : known->second});
    }
  }
  return flags;
}

std::string names_of(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.push_back(flag.name);
  return fmt::format("{}", fmt::join(names, " "));
}

std::vector<std::string> names_of(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.app->get_name());
  return names;
}

/// "    quantize:--recipe) words='aimet best' ;;" for each flag of one value, or of many, that has a few to choose from.
std::string cases_of_values(const std::vector<Command>& commands, const Values& values, bool many) {
  std::string cases;
  for (const Command& command : commands)
    for (const Flag& flag : flags_of(*command.app, values))
      if (!flag.values.empty() && (flag.most_values > 1) == many)
        cases += fmt::format("    {}:{}) words='{}' ;;\n", command.app->get_name(), flag.name,
                             fmt::join(flag.values, " "));
  return cases;
}

/// Bash splits words at "=" and ":" too. A flag of several values is looked for behind those that stand already.
std::string for_bash(const CLI::App& app, const std::vector<Command>& commands, const Values& values) {
  std::string cases;
  for (const Command& command : commands)
    cases += fmt::format("    {}) flags='{}' words='{}' ;;\n", command.app->get_name(),
                         names_of(flags_of(*command.app, values)), fmt::join(command.words, " "));
  return fmt::format(R"(_adascale() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} at=$((COMP_CWORD - 1)) flags words
  [[ $word == = ]] && word=
  [[ ${{COMP_WORDS[at]}} == = ]] && at=$((at - 1))
  case ${{COMP_WORDS[1]}} in
{}  esac
  case ${{COMP_WORDS[1]}}:${{COMP_WORDS[at]}} in
{}  esac
  while [[ $at -gt 1 && ${{COMP_WORDS[at]}} != -* ]]; do at=$((at - 1)); done
  case ${{COMP_WORDS[1]}}:${{COMP_WORDS[at]}} in
{}  esac
  if [[ $COMP_CWORD -eq 1 ]]; then
    flags='{}' words='{}'
  fi
  if [[ $word == -* || -n $words ]]; then
    [[ $word == -* ]] && words=$flags
    compopt +o filenames 2>/dev/null
    COMPREPLY=($(compgen -W "$words" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _adascale adascale
)",
                     cases, cases_of_values(commands, values, /*many=*/false),
                     cases_of_values(commands, values, /*many=*/true), names_of(flags_of(app, values)),
                     fmt::join(names_of(commands), " "));
}

/// zsh runs bash's.
std::string for_zsh(const CLI::App& app, const std::vector<Command>& commands, const Values& values) {
  return "autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n" + for_bash(app, commands, values);
}

std::string value_in_fish(const Flag& flag) {
  if (!flag.values.empty()) return fmt::format(" -x -a '{}'", fmt::join(flag.values, " "));
  return flag.most_values > 0 ? " -r" : "";
}

std::string for_fish(const CLI::App& app, const std::vector<Command>& commands, const Values& values) {
  std::string text = "complete -c adascale -n __fish_use_subcommand -f\n";
  for (const Flag& flag : flags_of(app, values))
    text += fmt::format("complete -c adascale -n __fish_use_subcommand -l {} -d '{}'\n", flag.name.substr(2),
                        flag.help);
  for (const Command& command : commands) {
    const std::string name = command.app->get_name(), behind = "__fish_seen_subcommand_from " + name;
    text += fmt::format("complete -c adascale -n __fish_use_subcommand -a {} -d '{}'\n", name,
                        plain(command.app->get_description()));
    if (!command.words.empty())
      text += fmt::format("complete -c adascale -n '{}' -f -a '{}'\n", behind, fmt::join(command.words, " "));
    for (const Flag& flag : flags_of(*command.app, values))
      text += fmt::format("complete -c adascale -n '{}' -l {}{} -d '{}'\n", behind, flag.name.substr(2),
                          value_in_fish(flag), flag.help);
  }
  return text;
}

using Script = std::string (*)(const CLI::App&, const std::vector<Command>&, const Values&);
const std::map<std::string, Script> kShells = {{"bash", for_bash}, {"fish", for_fish}, {"zsh", for_zsh}};

std::vector<std::string> shells() {
  std::vector<std::string> names;
  for (const auto& [name, script] : kShells) names.push_back(name);
  return names;
}

}  // namespace

Command completion_command(CLI::App& app, const std::vector<Command>& commands, const Runtimes& runtimes) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "print a script that completes commands and flags");
  command->add_option("SHELL", *shell, fmt::format("{}", fmt::join(shells(), ", ")))->required();
  command->footer(
      "bash: eval \"$(adascale completion bash)\" in ~/.bashrc; zsh: likewise in ~/.zshrc; "
      "fish: adascale completion fish | source in config.fish.");
  return {command,
          [&app, shell, &commands, &runtimes] {
            const auto script = kShells.find(*shell);
            ADA_CHECK(script != kShells.end(), "completion: got '{}', expected one of {}{}", *shell,
                      fmt::join(shells(), ", "), did_you_mean(*shell, shells()));
            fmt::print("{}", script->second(app, commands, values_by_flag(runtimes)));
          },
          shells()};
}

}  // namespace adascale
