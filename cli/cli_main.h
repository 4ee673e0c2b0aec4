#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/run/door.h"
#include "adascale/run/runtime.h"
#include "adascale/run/task_runner.h"

namespace adascale {

/// A command of a package for another language, without flags of its own.
struct OwnCommand {
  std::string name, description;
  std::function<void()> run;
};

/// Runs the command `adascale ARGS...` (the program's own name not included) and returns its exit
/// code: 0 done; 2 the user's input (Error::Fault::kUser, a wrong command line); 1 any other
/// failure; 3 a result beyond a bound of `--fail-if`; 141 where the reader of standard output is
/// gone. Results go to standard output; progress, notes and the one line "adascale: error: ..." to
/// standard error. Throws nothing.
int cli_main(const std::vector<std::string>& args, const Doors& doors, const Runtimes& runtimes = {},
             const std::vector<OwnCommand>& own = {}, const std::optional<TaskRunner>& task_runner = {});

}  // namespace adascale
