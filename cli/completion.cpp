#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <map>

#include "adascale/core/error.h"
#include "adascale/core/words.h"
#include "cli/commands.h"

namespace adascale {
namespace {

/// Without characters that a shell would read.
std::string plain(std::string text) {
  std::erase_if(text, [](char c) { return c == '\'' || c == '\\' || c == '\n' || c == '`'; });
  return text;
}

struct Flag {
  std::string name, help;
  bool takes_value;
};

std::vector<Flag> flags_of(const CLI::App& command) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames())
      flags.push_back({"--" + name, plain(option->get_description()), option->get_items_expected_max() > 0});
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

std::string for_bash(const CLI::App& app, const std::vector<Command>& commands) {
  std::string cases;
  for (const Command& command : commands)
    cases += fmt::format("    {}) flags='{}' words='{}' ;;\n", command.app->get_name(),
                         names_of(flags_of(*command.app)), fmt::join(command.words, " "));
  return fmt::format(R"(_adascale() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} flags words
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $COMP_CWORD -eq 1 ]]; then
    flags='{}' words='{}'
  fi
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _adascale adascale
)",
                     cases, names_of(flags_of(app)), fmt::join(names_of(commands), " "));
}

/// zsh runs bash's.
std::string for_zsh(const CLI::App& app, const std::vector<Command>& commands) {
  return "autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n" + for_bash(app, commands);
}

std::string for_fish(const CLI::App& app, const std::vector<Command>& commands) {
  std::string text = "complete -c adascale -n __fish_use_subcommand -f\n";
  for (const Flag& flag : flags_of(app))
    text += fmt::format("complete -c adascale -n __fish_use_subcommand -l {} -d '{}'\n", flag.name.substr(2),
                        flag.help);
  for (const Command& command : commands) {
    const std::string name = command.app->get_name(), behind = "__fish_seen_subcommand_from " + name;
    text += fmt::format("complete -c adascale -n __fish_use_subcommand -a {} -d '{}'\n", name,
                        plain(command.app->get_description()));
    if (!command.words.empty())
      text += fmt::format("complete -c adascale -n '{}' -f -a '{}'\n", behind, fmt::join(command.words, " "));
    for (const Flag& flag : flags_of(*command.app))
      text += fmt::format("complete -c adascale -n '{}' -l {}{} -d '{}'\n", behind, flag.name.substr(2),
                          flag.takes_value ? " -r" : "", flag.help);
  }
  return text;
}

using Script = std::string (*)(const CLI::App&, const std::vector<Command>&);
const std::map<std::string, Script> kShells = {{"bash", for_bash}, {"fish", for_fish}, {"zsh", for_zsh}};

std::vector<std::string> shells() {
  std::vector<std::string> names;
  for (const auto& [name, script] : kShells) names.push_back(name);
  return names;
}

}  // namespace

Command completion_command(CLI::App& app, const std::vector<Command>& commands) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "print a script that completes commands and flags");
  command->add_option("SHELL", *shell, fmt::format("{}", fmt::join(shells(), ", ")))->required();
  command->footer(
      "bash: eval \"$(adascale completion bash)\" in ~/.bashrc; zsh: likewise in ~/.zshrc; "
      "fish: adascale completion fish | source in config.fish.");
  return {command,
          [&app, shell, &commands] {
            const auto script = kShells.find(*shell);
            ADA_CHECK(script != kShells.end(), "completion: got '{}', expected one of {}{}", *shell,
                      fmt::join(shells(), ", "), did_you_mean(*shell, shells()));
            fmt::print("{}", script->second(app, commands));
          },
          shells()};
}

}  // namespace adascale
