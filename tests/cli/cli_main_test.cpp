#include "cli/cli_main.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ostream>

#include "adascale/core/error.h"
#include "adascale/core/options.h"
#include "adascale/core/spelling.h"
#include "adascale/run/request.h"
#include "adascale/sim/options.h"
#include "adascale/tune/adascale.h"
#include "command_case.h"

namespace adascale::testing {
namespace {

TEST(CliMain, HelpAndVersionAreDone) {
  const Ran help = run_command({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* word : {"inspect", "quantize", "evaluate", "list", "completion", "torch.export.save"})
    EXPECT_HAS(help.out, word);
  const Ran version = run_command({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("adascale ", 0), 0u);
  for (const char* line : {"\ntorch 2.", "\ndevices cpu", "\ninstruction set "})
    EXPECT_HAS(version.out, line);
}

TEST(CliMain, AReaderThatIsGoneIsNoError) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  std::fflush(stdout);
  const int kept = dup(STDOUT_FILENO);
  dup2(ends[1], STDOUT_FILENO);
  close(ends[1]);
  const auto before = signal(SIGPIPE, SIG_IGN);  // as Python has it
  setvbuf(stdout, nullptr, _IONBF, 0);
  ::testing::internal::CaptureStderr();
  const int code = cli_main({"list", "formats"}, {pt2_door()});
  const std::string said = ::testing::internal::GetCapturedStderr();
  setvbuf(stdout, nullptr, _IOLBF, 0);
  signal(SIGPIPE, before);
  dup2(kept, STDOUT_FILENO);
  close(kept);
  EXPECT_EQ(code, 141);
  EXPECT_EQ(said, "");
}

/// Every option of both tables is a flag; its alias is one too, but hidden.
struct HelpReader {
  const std::string& help;
  int options = 0;
  template <class Value>
  void operator()(const std::string& name, const Value&, const std::string& text, const OptionRule& rule) {
    ++options;
    EXPECT_HAS(help, flag_of(name));
    EXPECT_HAS(help, text.substr(0, 12));
    if (rule.alias.empty()) return;
    EXPECT_EQ(help.find(flag_of(rule.alias)), std::string::npos) << rule.alias;
  }
};

TEST(CliMain, EveryOptionOfTheTablesIsInTheHelp) {
  const Ran ran = run_command({"quantize", "--help"});
  EXPECT_EQ(ran.code, 0);
  HelpReader reader{ran.out};
  QuantizeRequest request;
  visit_request_options(reader, request);
  EXPECT_GE(reader.options, 19);
  for (const char* own :
       {"--data", "--layer-config", "--threads", "--format", "--output-dir", "--dry-run", "--no-symmetric"})
    EXPECT_HAS(ran.out, own);
}

TEST(CliMain, EveryCommandHasHelp) {
  for (const char* command : {"inspect", "quantize", "evaluate", "list", "completion"}) {
    const Ran ran = run_command({command, "--help"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_HAS(ran.out, std::string("adascale ") + command);
  }
}

struct WrongLine {
  std::vector<std::string> args;
  std::string error;
};

void PrintTo(const WrongLine& line, std::ostream* out) {
  *out << fmt::format("{}", fmt::join(line.args, " "));
}

class WrongLines : public ::testing::TestWithParam<WrongLine> {};

TEST_P(WrongLines, AreTheUsersInput) {
  const Ran ran = run_command(GetParam().args);
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.err.rfind("adascale: error: ", 0), 0u) << ran.err;
  EXPECT_HAS(ran.err, GetParam().error);
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
}

INSTANTIATE_TEST_SUITE_P(
    CliMain, WrongLines,
    ::testing::Values(
        WrongLine{{}, "got no command, expected one of inspect, quantize, evaluate, list, completion"},
        WrongLine{{"quantise"},
                  "no command is called 'quantise'; there are inspect, quantize, evaluate, list, completion; "
                  "did you "
                  "mean quantize?"},
        WrongLine{{"--wrong"}, "--wrong: is no option of adascale itself; give it behind a command"},
        WrongLine{{"inspect"}, "one argument is missing: MODEL; expected adascale inspect MODEL\n"},
        WrongLine{{"inspect", "/dev/null"},
                  "/dev/null: not a model this command opens; expected a .pt2 file"},
        WrongLine{{"inspect", "m.pt2", "--wrong"}, "--wrong: is no option of adascale inspect\n"},
        WrongLine{{"quantize", "m.pt2", "--data", "d.txt", "--output-dir", "o", "--formats", "hf"},
                  "--formats: is no option of adascale quantize; did you mean --format?"},
        WrongLine{{"inspect", "m.pt2", "other.pt2"},
                  "other.pt2: is one argument too many; adascale inspect --help"},
        WrongLine{{"inspect", "m.pt2", "--param-bw", "four"},
                  "--param-bw: got 'four', expected a whole number\n"},
        WrongLine{{"inspect", "m.pt2", "--param-bw", "4.5", "--group-size", "x"},
                  "--param-bw: got '4.5', expected a whole number; --group-size: got 'x', expected a whole "
                  "number\n"},
        WrongLine{{"quantize", "m.pt2", "--lr-scale", "fast"}, "--lr-scale: got 'fast', expected a number\n"},
        WrongLine{{"inspect", "m.pt2", "--param-bw"},
                  "--param-bw: got nothing, expected a whole number behind it\n"},
        WrongLine{{"inspect", "m.pt2", "--param-bw="},
                  "--param-bw: got nothing, expected a whole number behind it\n"},
        WrongLine{{"quantize", "m.pt2", "--data", "--output-dir", "o"},
                  "--data: got nothing, expected a file behind it\n"},
        WrongLine{{"inspect", "m.pt2", "--symmetric=maybe"},
                  "--symmetric: got 'maybe', expected no value: the name alone turns it on\n"},
        WrongLine{{"quantize", "m.pt2"},
                  "arguments are missing: --data, --output-dir; expected adascale quantize MODEL --data FILE "
                  "--output-dir DIR\n"},
        WrongLine{{"inspect", "m.pt2", "--param-bw", "3", "--default-param-bw", "5"},
                  "--param-bw: is given 2 times (3, 5), expected once; leave one of them out\n"},
        WrongLine{{"inspect", "m.h5"}, "m.h5: no such file or folder; expected a .pt2 file"},
        WrongLine{{"inspect", "no_such.pt2"}, "no_such.pt2"},
        WrongLine{{"inspect", "m.pt2", "--param-bw", "33"},
                  "--param-bw: got 33, expected 2 to 16, or 32 for off"},
        WrongLine{{"inspect", "m.pt2", "--output-bw", "3"},
                  "--output-bw: got 3, expected 4 to 16, or 32 for off"},
        WrongLine{{"inspect", "m.pt2", "--outside-bw", "1"},
                  "--outside-bw: got 1, expected 2 to 16, or 32 for off"},
        WrongLine{{"inspect", "m.pt2", "--scheme", "best"}, "post_training_tf_enhanced"},
        WrongLine{{"inspect", "m.pt2", "--layer-config", "none.json"}, "none.json"},
        WrongLine{{"list"},
                  "list: got nothing, expected one of formats, grids, layers, recipes, runtimes, schemes\n"},
        WrongLine{{"list", "models"},
                  "list: got 'models', expected one of formats, grids, layers, recipes, runtimes, schemes"}));

Door failing_door(const std::function<void()>& failure) {
  return {.name = "failing",
          .description = "anything",
          .matches = [](const std::string&) { return true; },
          .open = [failure](const std::string&, const DataRequest&) -> OpenedModel {
            failure();
            return {};
          }};
}

TEST(CliMain, OtherFailuresAreOne) {
  const Ran bug = run_command({"inspect", "x"}, {failing_door([] { ADA_ASSERT(false, "impossible"); })});
  EXPECT_EQ(bug.code, 1);
  EXPECT_HAS(bug.err, "impossible");
  const Ran other =
      run_command({"inspect", "x"}, {failing_door([] { throw std::runtime_error("first line\nsecond"); })});
  EXPECT_EQ(other.code, 1);
  EXPECT_EQ(other.err, "adascale: error: first line\n");
}

TEST(CliMain, ACommandOfSomeoneElseIsInTheHelpAndRuns) {
  bool has_run = false;
  const std::vector<OwnCommand> own = {{"doctor", "what works here", [&] { has_run = true; }}};
  EXPECT_EQ(cli_main({"doctor"}, {pt2_door()}, {}, own), 0);
  EXPECT_TRUE(has_run);
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(cli_main({"completion", "bash"}, {pt2_door()}, {}, own), 0);
  EXPECT_HAS(::testing::internal::GetCapturedStdout(), "doctor");
}

TEST(CliMain, ADoorOfSomeoneElseOpensItsOwnKind) {
  Door folder = pt2_door();
  folder.matches = [](const std::string& model) { return model == "package.module:model"; };
  folder.open = [](const std::string&, const DataRequest& data) {
    return pt2_door().open(model_file("blocks"), data);
  };
  const Ran ran = run_command({"inspect", "package.module:model"}, {pt2_door(), folder});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "blocks.1");
}

}  // namespace
}  // namespace adascale::testing
