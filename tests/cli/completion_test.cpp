#include <algorithm>
#include <fstream>
#include <sstream>

#include "command_case.h"

namespace adascale::testing {
namespace {

class Completion : public CommandTest {
 protected:
  /// The answers of a bash that read the script, to this line with the cursor at its end.
  std::string complete(const std::string& words) const {
    write_text(path("script"), run_command({"completion", "bash"}).out);
    write_text(path("ask"),
               "source " + path("script") + "\nCOMP_WORDS=(" + words +
                   ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_adascale\necho \"${COMPREPLY[@]}\"\n");
    const std::string command = "bash " + path("ask") + " > " + path("answer") + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return read_bytes(path("answer"));
  }
};

TEST_F(Completion, BashCompletesCommandsFlagsAndWords) {
  EXPECT_EQ(complete("adascale in"), "inspect\n");
  EXPECT_EQ(complete("adascale quantize m.pt2 --param-"), "--param-bw\n");
  EXPECT_EQ(complete("adascale quantize m.pt2 --no-sym"), "--no-symmetric\n");
  EXPECT_EQ(complete("adascale --ver"), "--version\n");
  EXPECT_EQ(complete("adascale list for"), "formats\n");
  EXPECT_EQ(complete("adascale completion z"), "zsh\n");
  EXPECT_EQ(complete("adascale quantize m.pt2 --recipe b"), "best\n");
  EXPECT_EQ(complete("adascale quantize m.pt2 --precision ''"), "auto float32 bfloat16\n");
  EXPECT_EQ(complete("adascale quantize m.pt2 --recipe = b"), "best\n") << "as bash splits --recipe=b";
  EXPECT_EQ(complete("adascale quantize m.pt2 --recipe ="), "fast best aimet clip rtn\n");
  EXPECT_EQ(complete("adascale quantize m.pt2 --format gg"), "gguf\n");
  EXPECT_EQ(complete("adascale quantize m.pt2 --format hf gg"), "gguf\n") << "behind another one";
  EXPECT_EQ(complete("adascale quantize --recipe best " + path("calib")), "\n") << "one value alone";
  write_text(path("calib.txt"), "");
  EXPECT_EQ(complete("adascale quantize " + path("cal")), path("calib.txt") + "\n");
}

/// Every flag in the help of a command, for each shell.
TEST_F(Completion, HasEveryFlagOfTheHelp) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const std::string script = run_command({"completion", shell}).out;
    for (const std::string command : {"inspect", "quantize", "evaluate", "list"}) {
      EXPECT_HAS(script, command);
      const std::string help = run_command({command, "--help"}).out;
      for (size_t at = help.find("  --"); at != std::string::npos; at = help.find("  --", at + 1)) {
        const std::string flag = help.substr(at + 4, help.find_first_of(" ,\n", at + 4) - at - 4);
        EXPECT_HAS(script, shell == "fish" ? "-l " + flag : "--" + flag);
      }
    }
  }
  // Fish reads each line by itself.
  std::istringstream fish(run_command({"completion", "fish"}).out);
  for (std::string line; std::getline(fish, line);)
    EXPECT_EQ(std::count(line.begin(), line.end(), '\'') % 2, 0) << line;
  EXPECT_HAS(run_command({"completion", "fish"}).out, "-l precision -x -a 'auto float32 bfloat16' -d");
  EXPECT_HAS(run_command({"completion", "csh"}).err,
             "completion: got 'csh', expected one of bash, fish, zsh");
}

}  // namespace
}  // namespace adascale::testing
