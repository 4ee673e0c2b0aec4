#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "adascale/io/pt2.h"
#include "adascale/run/evaluation.h"
#include "command_case.h"

namespace adascale::testing {
namespace {

class Evaluate : public CommandTest {
 protected:
  /// The cells of the row of one output.
  static std::vector<std::string> row(const std::string& table, const std::string& output) {
    std::istringstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::vector<std::string> cells{std::istream_iterator<std::string>(words), {}};
      if (cells.size() == 7 && cells[0].find(output) != std::string::npos) return cells;
    }
    return {};
  }
};

TEST_F(Evaluate, ComparesTheQuantizedModel) {
  ASSERT_EQ(run_command(quantize_blocks({"--param-bw", "8", "--output-bw", "16"})).code, 0);
  const std::string held_out = data("held_out.safetensors", {{"x", at::randn({11, 16})}});
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("out"), "--data", held_out});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "11 samples");
  const auto cells = row(ran.out, "linear");
  ASSERT_EQ(cells.size(), 7u) << ran.out;
  EXPECT_GT(std::stod(cells[1]), 30);  // 8 bits
  EXPECT_GT(std::stod(cells[2]), 0.999);
  EXPECT_GE(std::stod(cells[3]), 0.9);
  EXPECT_EQ(cells[4], "-");  // not logits over tokens

  const auto evaluate_with = [&](const std::string& bound) {
    return run_command(
        {"evaluate", model_file("blocks"), path("out"), "--data", held_out, "--fail-if", bound});
  };
  EXPECT_EQ(evaluate_with("cosine<0.99").code, 0);
  EXPECT_EQ(evaluate_with("cosine<1.01").code, 3);
  EXPECT_EQ(evaluate_with("sqnr_min<1000").code, 3);
  const Ran unmeasured = evaluate_with("kl>1");
  EXPECT_EQ(unmeasured.code, 2);
  EXPECT_HAS(unmeasured.err, "--fail-if: kl was not measured: no output has it; leave it out");
  EXPECT_HAS(evaluate_with("size_mb>1").err, "--fail-if: got 'size_mb', expected one of kl, perplexity");
}

TEST_F(Evaluate, AModelAgainstItselfIsExact) {
  fs::create_directories(path("same"));
  fs::copy(model_file("blocks"), path("same/blocks.pt2"));
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("same"), "--data", samples(8)});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto cells = row(ran.out, "linear");
  ASSERT_EQ(cells.size(), 7u) << ran.out;
  EXPECT_EQ(cells[1], "inf");
  EXPECT_EQ(cells[2], "1.00000");
  EXPECT_EQ(cells[3], "1.0000");
}

TEST_F(Evaluate, LogitsOverTokensGetPerplexityHiddenStatesDoNot) {
  const at::Tensor ids = at::randint(24, {6, 7}, at::kLong);
  const std::string file =
      data("text.safetensors", {{"input_ids", ids}, {"attention_mask", at::ones({6, 7}, at::kLong)}});
  const Ran made = run_command({"quantize", model_file("language"), "--data", file, "--output-dir",
                                path("out"), "--iterations", "2", "--batch-size", "3"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_HAS(made.out, "embedding (Embedding): outside every block");
  const Ran ran = run_command({"evaluate", model_file("language"), path("out"), "--data", file});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto logits = row(ran.out, "linear"), hidden = row(ran.out, "add");
  ASSERT_EQ(logits.size(), 7u) << ran.out;
  ASSERT_EQ(hidden.size(), 7u) << ran.out;
  EXPECT_GT(std::stod(logits[4]), 0);
  EXPECT_GT(std::stod(logits[5]), 1);
  EXPECT_EQ(hidden[4], "-");
}

/// The JSON in a page.
nlohmann::json data_of(const std::string& page) {
  const std::string begin = "id=\"report\">";
  const size_t from = page.find(begin) + begin.size();
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST_F(Evaluate, WritesAPage) {
  const std::string file = data("text.safetensors", {{"input_ids", at::randint(24, {6, 7}, at::kLong)},
                                                     {"attention_mask", at::ones({6, 7}, at::kLong)}});
  ASSERT_EQ(run_command({"quantize", model_file("language"), "--data", file, "--output-dir", path("out"),
                         "--iterations", "2", "--batch-size", "3"})
                .code,
            0);
  const Ran ran = run_command(
      {"evaluate", model_file("language"), path("out"), "--data", file, "--html", path("page.html")});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "wrote     " + path("page.html"));
  const auto report = data_of(read_bytes(path("page.html")));
  EXPECT_EQ(report.at("model"), "language.pt2");
  EXPECT_EQ(report.at("folder"), "out");
  EXPECT_EQ(report.at("samples"), 6);
  bool has_tokens = false;
  for (const auto& output : report.at("outputs")) {
    if (!output.contains("tokens")) {
      EXPECT_EQ(output.at("worst").size(), 6);
      continue;
    }
    has_tokens = true;
    const auto& tokens = output.at("tokens");
    EXPECT_EQ(tokens.at("kl_by_position").size(), 7);
    EXPECT_EQ(tokens.at("worst").size(), 6);
    EXPECT_GE(tokens.at("worst")[0].at("kl"), tokens.at("worst")[5].at("kl"));
    EXPECT_TRUE(tokens.at("worst")[0].at("worst").at("before_text").is_null());
  }
  EXPECT_TRUE(has_tokens);
}

TEST_F(Evaluate, APageNeverReplacesAnotherFile) {
  const auto expect_error = [&](const std::string& page, const std::string& text) {
    for (const auto& args :
         {std::vector<std::string>{"inspect", model_file("blocks"), "--html", page},
          {"evaluate", model_file("blocks"), path("none"), "--data", samples(4), "--html", page}}) {
      const Ran ran = run_command(args);
      EXPECT_EQ(ran.code, 2);
      EXPECT_HAS(ran.err, text);
    }
  };
  write_text(path("mine.html"), "<p>mine");
  expect_error(path("mine.html"), "is no page of adascale and would be overwritten; give another name");
  EXPECT_EQ(read_bytes(path("mine.html")), "<p>mine");
  expect_error(path("report.html"), "is the name of a run's report");
  expect_error(path(""), "is a folder, expected the name of a file");
  expect_error(path("mine.html/page.html"), "mine.html");
}

TEST_F(Evaluate, TasksNeedThePythonPackage) {
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("out"), "--lm-eval", "arc_easy"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_HAS(ran.err, "--lm-eval: this command runs no tasks; the one of the Python package does");
  const Ran neither = run_command({"evaluate", model_file("blocks"), path("out")});
  EXPECT_EQ(neither.code, 2);
  EXPECT_HAS(neither.err, "one argument is missing: --data");
}

TEST_F(Evaluate, BoundsOfMetricsNeedData) {
  const Ran ran = run_command(
      {"evaluate", model_file("blocks"), path("out"), "--lm-eval", "arc_easy", "--fail-if", "kl>0.1"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_HAS(ran.err, "--fail-if: its bounds are of metrics on data, and there is none; give --data");
}

TEST_F(Evaluate, TasksNeedNoData) {
  std::vector<std::string> seen;
  const TaskRunner tasks{
      .check = [&](const std::string&, const std::string&, const TaskRunner::Names& names) { seen = names; },
      .run = [](const std::string&, const std::string& folder, const TaskRunner::Names&,
                const std::string& device) -> std::vector<TaskScore> {
        EXPECT_EQ(device, "auto");
        return {{folder, "acc", 0.5, 0.4375, 0.01}};
      }};
  const auto ran_with = [&](std::vector<std::string> args) {
    ::testing::internal::CaptureStdout();
    const int code = cli_main(args, {pt2_door()}, {}, {}, tasks);
    EXPECT_EQ(code, 0);
    return ::testing::internal::GetCapturedStdout();
  };
  const std::string out = ran_with(
      {"evaluate", model_file("blocks"), "some", "--lm-eval", "a", "b", "--html", path("page.html")});
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
  EXPECT_HAS(out, "some  acc     0.5000  0.4375     -0.0625  0.0100");
  const auto report = data_of(read_bytes(path("page.html")));
  EXPECT_EQ(report.at("tasks")[0].at("quantized"), 0.4375);
  EXPECT_TRUE(report.at("outputs").empty());
}

TEST_F(Evaluate, TasksThatFailLeaveTheComparison) {
  ASSERT_EQ(run_command(quantize_blocks()).code, 0);
  const TaskRunner tasks{.check = [](const std::string&, const std::string&, const TaskRunner::Names&) {},
                         .run = [&](const std::string&, const std::string&, const TaskRunner::Names&,
                                    const std::string&) -> std::vector<TaskScore> {
                           EXPECT_EQ(data_of(read_bytes(path("page.html"))).at("outputs").size(), 1)
                               << "is written before";
                           fail("--lm-eval: out of memory");
                         }};
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = cli_main({"evaluate", model_file("blocks"), path("out"), "--data", samples(4), "--lm-eval",
                             "a", "--html", path("page.html")},
                            {pt2_door()}, {}, {}, tasks);
  const std::string out = ::testing::internal::GetCapturedStdout(),
                    err = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(code, 2);
  EXPECT_HAS(err, "--lm-eval: out of memory");
  EXPECT_HAS(out, "SQNR dB");
  EXPECT_HAS(out, "page.html; the tasks follow\n");
}

TEST_F(Evaluate, SaysWhichActivationsATasksFolderDoesNotHold) {
  ASSERT_EQ(run_command(quantize_blocks({"--output-bw", "8", "--format", "safetensors"})).code, 0);
  auto report = nlohmann::json::parse(read_bytes(path("out/report.json")));
  const auto& all = report.at("activations");
  const auto quantizers =
      std::count_if(all.begin(), all.end(), [](const auto& range) { return range.at("off") == ""; });
  report["formats"][0]["files"] = {"config.json"};  // as a folder's has it
  write_text(path("out/report.json"), report.dump());
  const TaskRunner tasks{.check = [](const std::string&, const std::string&, const TaskRunner::Names&) {},
                         .run = [](const std::string&, const std::string&, const TaskRunner::Names&,
                                   const std::string&) -> std::vector<TaskScore> {
                           return {{"arc", "acc", 0.5, 0.4375, 0.01}};
                         }};
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(cli_main({"evaluate", model_file("blocks"), path("out"), "--lm-eval", "arc"}, {pt2_door()}, {},
                     {}, tasks),
            0);
  EXPECT_HAS(
      ::testing::internal::GetCapturedStdout(),
      fmt::format("the run also put {} activations on grids, which the folder does not hold\n", quantizers));
}

TEST_F(Evaluate, WantsOneProgramInAFolder) {
  const auto expect_error = [&](const std::string& folder, const std::string& text) {
    const Ran ran = run_command({"evaluate", model_file("blocks"), folder, "--data", samples(4)});
    EXPECT_EQ(ran.code, 2);
    EXPECT_HAS(ran.err, text);
  };
  expect_error(path("none"), "not a folder");
  fs::create_directories(path("two"));
  expect_error(path("two"), "holds 0 .pt2 files, expected exactly one");
  fs::copy(model_file("blocks"), path("two/a.pt2"));
  fs::copy(model_file("blocks"), path("two/b.pt2"));
  expect_error(path("two"), "holds 2 .pt2 files");
  fs::create_directories(path("other"));
  fs::copy(model_file("language"), path("other/language.pt2"));
  expect_error(path("other"), "not made from this model");
}

/// A runtime that runs the file `blocks.pt2` itself, `shift` added to its output.
Runtime fake_runtime(const std::string& file, double shift) {
  return {.name = "fake",
          .files = "*.pt2",
          .description = "ours",
          .open = [file, shift](const std::string&, const ModelNames& names) -> RunBatch {
            EXPECT_EQ(names.inputs, std::vector<std::string>{"x"});
            EXPECT_EQ(names.outputs.size(), 1u);
            const auto program = std::make_shared<Program>(load_program(file));
            const Runner runner = program_runner("fake", *program);
            return [program, runner, shift](const Samples& batch) {
              return std::vector<at::Tensor>{runner.run({batch.at("x")})[0] + shift};
            };
          }};
}

TEST_F(Evaluate, RunsARuntimeBesideTheSimulation) {
  ASSERT_EQ(run_command(quantize_blocks()).code, 0);
  const Runtimes runtimes = {fake_runtime(path("out/blocks.pt2"), 0.25)};
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("out"), "--data", samples(11),
                               "--batch-size", "4", "--runtime", "fake"},
                              {pt2_door()}, runtimes);
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "simulation");
  EXPECT_HAS(ran.out, "fake from the simulation, linear_4: at most 0.25, where the largest value is");
  EXPECT_HAS(ran.out, "samples/s, fake ");
}

TEST_F(Evaluate, ANanOfTheRuntimeIsNoSmallDifference) {
  ASSERT_EQ(run_command(quantize_blocks()).code, 0);
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("out"), "--data", samples(11),
                               "--batch-size", "4", "--runtime", "fake"},
                              {pt2_door()}, {fake_runtime(path("out/blocks.pt2"), NAN)});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "linear_4: at most nan, where");
}

TEST_F(Evaluate, PackedWeightsNeedARuntime) {
  fs::create_directories(path("packed"));
  write_text(path("packed/config.json"), R"({"quantization_config": {}})");
  const Ran ran = run_command({"evaluate", model_file("blocks"), path("packed"), "--data", samples(4)});
  EXPECT_EQ(ran.code, 2);
  EXPECT_HAS(ran.err, "holds packed weights, which only a runtime reads; add --runtime transformers");
}

TEST_F(Evaluate, ARuntimeNeedsNoSimulation) {
  fs::create_directories(path("alone"));
  const Ran ran = run_command(
      {"evaluate", model_file("blocks"), path("alone"), "--data", samples(4), "--runtime", "fake"},
      {pt2_door()}, {fake_runtime(model_file("blocks"), 0)});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_HAS(ran.out, "without the simulation");
  EXPECT_HAS(ran.out, "inf");
  EXPECT_EQ(ran.out.find("from the simulation, "), std::string::npos) << ran.out;
}

/// Gives the first `given` of the two outputs of `language.pt2`.
Runtime partial_runtime(size_t given) {
  return {.name = "partial",
          .files = "*.pt2",
          .description = "ours",
          .open = [given](const std::string&, const ModelNames&) -> RunBatch {
            const auto program = std::make_shared<Program>(load_program(model_file("language")));
            const Runner runner = program_runner("partial", *program);
            return [program, runner, given](const Samples& batch) {
              Inputs inputs;
              for (const ProgramInput* input : program->user_inputs())
                inputs.push_back(batch.at(input->name));
              std::vector<at::Tensor> outputs = runner.run(inputs);
              for (size_t i = given; i < outputs.size(); ++i) outputs[i] = at::Tensor();
              return outputs;
            };
          }};
}

TEST_F(Evaluate, OutputsThatARuntimeDoesNotGiveAreNamed) {
  fs::create_directories(path("alone"));
  const std::string file = data("text.safetensors", {{"input_ids", at::randint(24, {6, 7}, at::kLong)},
                                                     {"attention_mask", at::ones({6, 7}, at::kLong)}});
  const auto evaluate = [&](size_t given) {
    return run_command(
        {"evaluate", model_file("language"), path("alone"), "--data", file, "--runtime", "partial"},
        {pt2_door()}, {partial_runtime(given)});
  };
  const Ran some = evaluate(1);
  ASSERT_EQ(some.code, 0) << some.err;
  EXPECT_HAS(some.out, "partial gives no output 'add_1'");
  const Ran none = evaluate(0);
  EXPECT_EQ(none.code, 2);
  EXPECT_HAS(none.err, "partial: gives none of the model's outputs, such as 'linear_4'");
}

TEST_F(Evaluate, RuntimesAreNamed) {
  const std::vector<std::string> args = {"evaluate", model_file("blocks"), path("out"), "--data",
                                         samples(4), "--runtime",          "none"};
  const Ran without = run_command(args);
  EXPECT_EQ(without.code, 2);
  EXPECT_HAS(without.err, "this command runs no runtimes");
  const Ran unknown = run_command(args, {pt2_door()}, {fake_runtime("", 0)});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_HAS(unknown.err, "--runtime: got 'none', expected one of fake");
}

TEST_F(Evaluate, ARuntimeGivesAllOutputs) {
  ASSERT_EQ(run_command(quantize_blocks()).code, 0);
  Runtime runtime = fake_runtime("", 0);
  runtime.open = [](const std::string&, const ModelNames&) -> RunBatch {
    return [](const Samples&) { return std::vector<at::Tensor>{}; };
  };
  const Ran ran =
      run_command({"evaluate", model_file("blocks"), path("out"), "--data", samples(4), "--runtime", "fake"},
                  {pt2_door()}, {runtime});
  EXPECT_EQ(ran.code, 2);
  EXPECT_HAS(ran.err, "fake: gave 0 outputs, the model has 1");
}

}  // namespace
}  // namespace adascale::testing
