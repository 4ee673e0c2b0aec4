#pragma once
#include <string>
#include <vector>

#include "cli/cli_main.h"
#include "run/run_case.h"

namespace adascale::testing {

/// The results of one run of the command.
struct Ran {
  int code = 0;
  std::string out, err;
};

inline Ran run_command(const std::vector<std::string>& args, const Doors& doors = {pt2_door()},
                       const Runtimes& runtimes = {}) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = cli_main(args, doors, runtimes);
  Ran ran{code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
  return ran;
}

class CommandTest : public RunTest {
 protected:
  /// `quantize` of the two-block model into path("out"), two iterations a block.
  std::vector<std::string> quantize_blocks(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"quantize",     model_file("blocks"), "--data",       samples(20),
                                     "--output-dir", path("out"),          "--iterations", "2"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
};

}  // namespace adascale::testing
