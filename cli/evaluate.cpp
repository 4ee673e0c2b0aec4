#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>

#include "adascale/core/error.h"
#include "adascale/core/words.h"
#include "adascale/run/evaluate.h"
#include "adascale/run/evaluation_json.h"
#include "adascale/run/pages.h"
#include "adascale/run/text.h"
#include "cli/commands.h"
#include "cli/data_flags.h"
#include "cli/fail_if.h"
#include "cli/page_file.h"

namespace adascale {
namespace {

std::string format_optional(std::optional<double> value, int digits) {
  return value ? fmt::format("{:.{}f}", *value, digits) : "-";
}

Row row_of(const OutputComparison& output) {
  std::optional<double> kl, fp_perplexity, quant_perplexity;
  if (output.tokens) {
    kl = output.tokens->kl_divergence();
    fp_perplexity = output.tokens->fp_perplexity();
    quant_perplexity = output.tokens->quant_perplexity();
  }
  return {output.name,
          output.runner,
          fmt::format("{:.2f}", output.metrics.sqnr_db()),
          fmt::format("{:.5f}", output.metrics.mean_cosine()),
          format_optional(output.metrics.top1_agreement(), 4),
          format_optional(kl, 5),
          format_optional(fp_perplexity, 3),
          format_optional(quant_perplexity, 3)};
}

std::string describe_speed(const Evaluation& evaluation, const std::vector<std::string>& runners) {
  const char* unit = evaluation.are_tokens ? "tokens" : "samples";
  std::string text = "speed";
  for (size_t i = 0; i < evaluation.seconds.size(); ++i)
    text += fmt::format("{} {} {:.1f} {}/s", i == 0 ? "    " : ",", i == 0 ? "model" : runners[i - 1],
                        static_cast<double>(evaluation.counted) / evaluation.seconds[i], unit);
  return text;
}

void print_outputs(const Evaluation& evaluation, bool shows_runner) {
  std::vector<Row> rows = {{"output", "run by", "SQNR dB", "cosine", "top-1 agreement", "KL divergence",
                            "perplexity", "quantized perplexity"}};
  for (const OutputComparison& output : evaluation.outputs) rows.push_back(row_of(output));
  if (!shows_runner)
    for (Row& row : rows) row.erase(row.begin() + 1);
  fmt::print("{}", format_table(rows));
}

void print_runtime(const Evaluation& evaluation, const std::vector<std::string>& runners) {
  fmt::print("\n");
  for (const OutputDifference& difference : evaluation.differences)
    fmt::print("{} from the simulation, {}: at most {:.3g}, where the largest value is {:.3g}\n",
               runners.back(), difference.name, difference.largest, difference.largest_value);
  fmt::print("{}\n", describe_speed(evaluation, runners));
}

/// The worst over outputs and runners.
std::map<std::string, double> measures_of(const Evaluation& evaluation) {
  std::map<std::string, double> values;
  enum class Worse { kLower, kHigher };
  const auto take = [&](const char* name, Worse worse, std::optional<double> value) {
    if (!value) return;
    double& worst = values.emplace(name, *value).first->second;
    if (std::isnan(*value) || (worse == Worse::kLower ? *value < worst : *value > worst)) worst = *value;
  };
  for (const OutputComparison& output : evaluation.outputs) {
    take("sqnr_min", Worse::kLower, output.metrics.sqnr_db());
    take("cosine", Worse::kLower, output.metrics.mean_cosine());
    take("same_top", Worse::kLower, output.metrics.top1_agreement());
    if (!output.tokens) continue;
    take("kl", Worse::kHigher, output.tokens->kl_divergence());
    take("perplexity", Worse::kHigher, output.tokens->quant_perplexity());
  }
  return values;
}

void print_comparison(const EvaluateRequest& request, const EvaluatedFolder& result) {
  const auto& simulation = result.simulation;
  fmt::print("{} against {}, {} samples{}\n\n", simulation.value_or(request.folder), request.model,
             result.samples,
             !simulation                     ? "; no .pt2 in it, so without the simulation"
             : *simulation == request.folder ? "; weights alone, activations in full precision"
                                             : "");
  const bool has_runtime = !request.runtime.empty();
  print_outputs(result.evaluation, has_runtime);
  for (const std::string& line : result.evaluation.missing) fmt::print("{}\n", line);
  if (has_runtime) print_runtime(result.evaluation, result.runners);
}

/// Nothing where there are none.
void print_tasks(const EvaluatedFolder& result) {
  if (result.tasks.empty()) return;
  std::vector<Row> rows = {{"task", "metric", "model", "quantized", "change", "standard error"}};
  for (const TaskScore& score : result.tasks)
    rows.push_back(
        {score.task, score.metric, fmt::format("{:.4f}", score.model), fmt::format("{:.4f}", score.quantized),
         fmt::format("{:+.4f}", score.quantized - score.model), format_optional(score.standard_error, 4)});
  fmt::print("\n{}", format_table(rows));
  if (result.activations_not_held > 0)
    fmt::print(
        "the weights alone are quantized here; the run also put {} on grids, which the folder does not "
        "hold\n",
        plural(result.activations_not_held, "activation"));
}

void write_page(const PageFile& page, const EvaluateRequest& request, const EvaluatedFolder& result,
                const char* what) {
  if (!page.is_asked_for()) return;
  page.write(evaluation_page(evaluation_json(request, result)));
  fmt::print("\nwrote     {}{}\n", page.path(), what);
}

/// Before the tasks, which may take hours and fail.
void tell_comparison(const EvaluateRequest& request, const EvaluatedFolder& result, const PageFile& page) {
  print_comparison(request, result);
  if (request.tasks.empty()) return;
  std::fflush(stdout);  // before a page that may not be written, and before the tasks
  write_page(page, request, result, "; the tasks follow");
  std::fflush(stdout);
}

void print_evaluation(const EvaluateRequest& request, const FailIf& fail_if, const PageFile& page,
                      const Doors& doors, const Runtimes& runtimes,
                      const std::optional<TaskRunner>& task_runner) {
  fail_if.check_bounds();
  ADA_CHECK(!fail_if.is_given() || request.tasks.empty() || !request.data.files.empty(),
            "--fail-if: its bounds are of metrics on data, and there is none; give --data, or leave it out");
  page.check();
  const EvaluatedFolder result =
      evaluate(request, doors, runtimes, task_runner,
               [&](const EvaluatedFolder& compared) { tell_comparison(request, compared, page); });
  print_tasks(result);
  write_page(page, request, result, "");  // after the metrics: a full disk costs the page alone
  fail_if.check(measures_of(result.evaluation));
}

constexpr char kMetricsHelp[] =
    "A line per floating-point output, over all samples.\n"
    "  SQNR             10 log10(sum x^2 / sum (x - y)^2), in dB\n"
    "  cosine           mean over the vectors of the last dimension\n"
    "  top-1 agreement  share of those vectors whose largest element is at the same place\n"
    "  KL divergence    KL(model || quantized) per token, in nats\n"
    "  perplexity       exp of the mean negative log likelihood of the next token: "
    "for causal language models\n"
    "The last two are for logits over tokens: an output [batch, seq, vocab] "
    "and exactly one int64 input [batch, seq] that is looked up\n"
    "in an embedding of vocab rows. Where there is an input attention_mask [batch, seq], "
    "positions with 0 are left out of that line.\n"
    "With --runtime also how far the runtime is from the simulation, "
    "and how many samples or tokens a second each runs.";

}  // namespace

Command evaluate_command(CLI::App& app, const Doors& doors, const Runtimes& runtimes,
                         const std::optional<TaskRunner>& task_runner) {
  auto request = std::make_shared<EvaluateRequest>();
  CLI::App* command =
      app.add_subcommand("evaluate", "compare a quantized folder with the model it came from");
  command->add_option("MODEL", request->model, describe(doors))->required();
  command
      ->add_option("DIR", request->folder,
                   "what adascale quantize wrote: exactly one .pt2 is in it, or a model of MODEL's kind; "
                   "with --runtime the runtime's file alone will do")
      ->required();
  CLI::Option* data = add_data_flags(*command, request->data, doors)
                          ->required()
                          ->option_text("FILE ... REQUIRED without --lm-eval");
  command
      ->add_option("--runtime", request->runtime,
                   "run what was exported in the program that will use it too; adascale list runtimes")
      ->type_name("NAME");
  command
      ->add_option(
          "--lm-eval", request->tasks,
          "score MODEL and DIR on tasks of the lm-eval package, by name, or by the file of one (.yaml)")
      ->type_name("TASK")
      ->each([data](const std::string&) { data->required(false); });
  command
      ->add_option("--device", request->device,
                   "where model and simulation run: cpu, cuda, cuda:1 or any other device of this torch; "
                   "auto: cuda if there is one")
      ->type_name("NAME");
  auto fail_if = std::make_shared<FailIf>(*command, FailIf::Source::kEvaluate);
  auto page = std::make_shared<PageFile>(*command);
  command->footer(kMetricsHelp);
  return {command, [=, &doors, &runtimes, &task_runner] {
            print_evaluation(*request, *fail_if, *page, doors, runtimes, task_runner);
          }};
}

}  // namespace adascale
