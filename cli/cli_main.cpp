#include "cli/cli_main.h"

#include <c10/util/Exception.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/headeronly/version.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <system_error>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/core/version.h"
#include "adascale/device/devices.h"
#include "adascale/device/threads.h"
#include "adascale/kernels/weight_rows.h"
#include "cli/commands.h"
#include "cli/fail_if.h"
#include "cli/help.h"
#include "cli/interruption.h"
#include "cli/wrong_line.h"

namespace adascale {
namespace {

constexpr int kDone = 0, kOther = 1, kUsersInput = 2, kBeyondABound = 3;
constexpr int kReaderGone = 141;  // as where SIGPIPE ends a program; Python ignores it

/// What an answer to a report of a fault asks for first.
std::string describe_version() {
  return fmt::format("adascale {}\ntorch {}, which it was built beside\ndevices {}\ninstruction set {}",
                     kVersion, TORCH_VERSION, fmt::join(present_devices(), ", "), kernel_target());
}

void run(const std::vector<std::string>& args, const Doors& doors, const Runtimes& runtimes,
         const std::vector<OwnCommand>& own, const std::optional<TaskRunner>& task_runner) {
  CLI::App app(
      "Post-training quantization with learned rounding: "
      "weights of 2 to 8 bits from a little calibration data.",
      "adascale");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", describe_version,
                       "print versions, devices and instruction set, and exit");
  app.set_help_flag("-h,--help", "print this help and exit");
  app.require_subcommand(1);
  app.footer("MODEL is " + describe(doors) +
             ".\nadascale COMMAND --help says more. Exit codes: 0 done, 2 the input, 3 a bound of --fail-if, "
             "130, 141 or 143 a signal, 1 anything else.");
  std::vector<Command> commands = {inspect_command(app, doors), quantize_command(app, doors),
                                   evaluate_command(app, doors, runtimes, task_runner),
                                   list_command(app, runtimes)};
  for (const OwnCommand& command : own)
    commands.push_back({app.add_subcommand(command.name, command.description), command.run});
  commands.push_back(completion_command(app, commands, runtimes));
  check_first_word(args, app);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));  // CLI11 takes the last argument first
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return;
  } catch (const CLI::ParseError& error) {
    for (const Command& command : commands)
      if (command.app->parsed()) refuse_line(*command.app, args, error);
    throw;
  }
  for (const Command& command : commands)
    if (command.app->parsed()) command.run();
}

int report(int code, const std::string& message) {
  // fmt::print would throw where the reader of 2>&1 is gone, and nothing catches any more.
  std::fputs(fmt::format("adascale: error: {}\n", first_line(message)).c_str(), stderr);
  return code;
}

}  // namespace

int cli_main(const std::vector<std::string>& args, const Doors& doors, const Runtimes& runtimes,
             const std::vector<OwnCommand>& own, const std::optional<TaskRunner>& task_runner) {
  const SpellingScope spelling(Spelling::kFlag);
  heed_cpu_quota();
  int code = kDone;
  try {
    const Interruption interruption;
    run(args, doors, runtimes, own, task_runner);
  } catch (const CLI::ParseError& error) {
    code = report(kUsersInput, std::string(error.what()) + "; adascale --help lists the commands");
  } catch (const BoundCrossed& error) {
    code = report(kBeyondABound, error.what());
  } catch (const Error& error) {
    code = report(error.fault() == Error::Fault::kUser ? kUsersInput : kOther, error.what());
  } catch (const std::system_error& error) {
    const bool is_reader_gone = error.code() == std::errc::broken_pipe;  // `| head` has seen enough
    code = is_reader_gone ? kReaderGone : report(kOther, error.what());
  } catch (const c10::Error& error) {
    code = report(kOther, error.what_without_backtrace());
  } catch (const std::exception& error) {
    code = report(kOther, error.what());
  }
  std::fflush(stdout);
  return code;
}

}  // namespace adascale
