#pragma once
#include <functional>

#include "adascale/run/door.h"
#include "adascale/run/runtime.h"

namespace CLI {
class App;
}

namespace adascale {

/// A subcommand whose flags are in `app`; `run` does the work after they are parsed.
struct Command {
  CLI::App* app;
  std::function<void()> run;
};

/// Each adds its subcommand to `app`. `doors` and `runtimes` must outlive the command.
Command inspect_command(CLI::App& app, const Doors& doors);
Command quantize_command(CLI::App& app, const Doors& doors);
Command evaluate_command(CLI::App& app, const Doors& doors, const Runtimes& runtimes);
Command list_command(CLI::App& app, const Runtimes& runtimes);

}  // namespace adascale
