#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/run/door.h"
#include "adascale/run/runtime.h"
#include "adascale/run/task_runner.h"

namespace CLI {
class App;
}

namespace adascale {

/// A subcommand whose flags are in `app`; `run` does the work after they are parsed.
struct Command {
  CLI::App* app;
  std::function<void()> run;
  std::vector<std::string> words = {};  ///< what may stand behind it, for completion; none: files
};

/// Each adds its subcommand to `app`. All that it is given must outlive the command.
Command inspect_command(CLI::App& app, const Doors& doors);
Command quantize_command(CLI::App& app, const Doors& doors);
Command evaluate_command(CLI::App& app, const Doors& doors, const Runtimes& runtimes,
                         const std::optional<TaskRunner>& task_runner);
Command list_command(CLI::App& app, const Runtimes& runtimes);
/// Prints what the shell needs to know about `commands`, itself among them.
Command completion_command(CLI::App& app, const std::vector<Command>& commands, const Runtimes& runtimes);

}  // namespace adascale
