#include "cli/cli_main.h"

#include <c10/util/Exception.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/core/version.h"
#include "adascale/device/threads.h"
#include "adascale/sim/near_names.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/interruption.h"

namespace adascale {
namespace {

constexpr int kDone = 0, kOther = 1, kUsersInput = 2;

// CLI11 calls an unknown word a missing subcommand; this check names the word.
void check_command_name(const std::vector<std::string>& args, const CLI::App& app) {
  if (args.empty() || args[0].substr(0, 1) == "-") return;
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  std::string known;
  for (const CLI::App* command : commands) {
    if (command->get_name() == args[0]) return;
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  fail("no command is called '{}'; there are {}", args[0], known);
}

// CLI11 lists all that it could not place, last first.
[[noreturn]] void refuse_rest(const CLI::App& command) {
  const std::vector<std::string> rest = command.remaining();
  const auto flag =
      std::find_if(rest.begin(), rest.end(), [](const std::string& word) { return word.starts_with("-"); });
  ADA_CHECK(flag != rest.end(), "{}: is one argument too many; adascale {} --help shows what it takes",
            fmt::join(rest, " "), command.get_name());
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  fail("{}: is no option of adascale {}{}", *flag, command.get_name(), did_you_mean(*flag, known));
}

void run(const std::vector<std::string>& args, const Doors& doors, const Runtimes& runtimes) {
  CLI::App app(
      "Post-training quantization with learned rounding: "
      "weights of 2 to 8 bits from a little calibration data.",
      "adascale");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", fmt::format("adascale {}", kVersion), "print the version and exit");
  app.set_help_flag("-h,--help", "print this help and exit");
  app.require_subcommand(1);
  app.footer("MODEL is " + describe(doors) +
             ".\nadascale COMMAND --help says more. Exit codes: 0 done, 2 the input, 130 or 143 a signal, 1 "
             "anything else.");
  const std::vector<Command> commands = {inspect_command(app, doors), quantize_command(app, doors),
                                         evaluate_command(app, doors, runtimes), list_command(app, runtimes)};
  check_command_name(args, app);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));  // CLI11 takes the last argument first
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return;
  } catch (const CLI::ExtrasError&) {
    for (const Command& command : commands)
      if (command.app->parsed()) refuse_rest(*command.app);
    throw;
  } catch (const CLI::ParseError& error) {
    for (const Command& command : commands)
      if (command.app->parsed())
        fail("{}; adascale {} --help shows what it takes", error.what(), command.app->get_name());
    throw;
  }
  for (const Command& command : commands)
    if (command.app->parsed()) command.run();
}

int report(int code, const std::string& message) {
  fmt::print(stderr, "adascale: error: {}\n", first_line(message));
  return code;
}

}  // namespace

int cli_main(const std::vector<std::string>& args, const Doors& doors, const Runtimes& runtimes) {
  const SpellingScope spelling(Spelling::kFlag);
  heed_cpu_quota();
  int code = kDone;
  try {
    const Interruption interruption;
    run(args, doors, runtimes);
  } catch (const CLI::ParseError& error) {
    code = report(kUsersInput, std::string(error.what()) + "; adascale --help lists the commands");
  } catch (const Error& error) {
    code = report(error.fault() == Error::Fault::kUser ? kUsersInput : kOther, error.what());
  } catch (const c10::Error& error) {
    code = report(kOther, error.what_without_backtrace());
  } catch (const std::exception& error) {
    code = report(kOther, error.what());
  }
  std::fflush(stdout);
  return code;
}

}  // namespace adascale
