#pragma once
#include <functional>

#include "cli/door.h"

namespace CLI {
class App;
}

namespace adascale {

/// A subcommand whose flags stand in `app`; `run` does the work once they are parsed.
struct Command {
  CLI::App* app;
  std::function<void()> run;
};

/// Each adds its subcommand to `app`. `doors` must outlive the command.
Command inspect_command(CLI::App& app, const Doors& doors);
Command quantize_command(CLI::App& app, const Doors& doors);
Command evaluate_command(CLI::App& app, const Doors& doors);
Command list_command(CLI::App& app, const Doors& doors);

}  // namespace adascale
