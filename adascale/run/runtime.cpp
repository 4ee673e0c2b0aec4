#include "adascale/run/runtime.h"

#include <fmt/ranges.h>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/core/words.h"

namespace adascale {

const Runtime& find_runtime(const Runtimes& runtimes, const std::string& name) {
  ADA_CHECK(!runtimes.empty(),
            "{}: got '{}', but this command runs no runtimes; "
            "the one of the Python package does: pip install adascale",
            option("runtime"), name);
  std::vector<std::string> known;
  for (const Runtime& runtime : runtimes) {
    if (runtime.name == name) return runtime;
    known.push_back(runtime.name);
  }
  fail("{}: got '{}', expected one of {}{}", option("runtime"), name, fmt::join(known, ", "),
       did_you_mean(name, known));
}

}  // namespace adascale
