#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "adascale/core/error.h"
#include "adascale/device/devices.h"
#include "adascale/io/pt2.h"
#include "adascale/run/batches.h"
#include "adascale/run/evaluation.h"
#include "adascale/run/text.h"
#include "cli/commands.h"
#include "cli/data_flags.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

struct EvaluateFlags {
  std::string model, folder, runtime, device = "auto";
  DataRequest data;
};

/// Packed weights are for their runtime; no door opens them.
bool is_packed(const fs::path& config) {
  std::ifstream in(config);
  const auto json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("quantization_config");
}

/// The model in the folder to simulate, written by `quantize`: a .pt2, or a model of the same kind
/// as its source. With a runtime there may be none.
std::optional<std::string> simulation_in(const std::string& folder, const Door& door, bool is_needed) {
  ADA_CHECK(fs::is_directory(folder), "{}: not a folder; expected the --output-dir of adascale quantize",
            folder);
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".pt2") found.push_back(entry.path().string());
  const fs::path config = fs::path(folder) / "config.json";
  ADA_CHECK(!found.empty() || !is_needed || !is_packed(config),
            "{}: holds packed weights, which only a runtime reads; add --runtime transformers", folder);
  if (found.empty() && door.matches(folder) && (is_needed || (fs::exists(config) && !is_packed(config))))
    return folder;
  if (found.empty() && !is_needed) return std::nullopt;
  ADA_CHECK(found.size() == 1, "{}: holds {} .pt2 files, expected exactly one quantized model{}", folder,
            found.size(),
            is_needed ? "; quantize with --format pt2 too, or run another file with --runtime" : "");
  return found[0];
}

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

std::string describe_speed(const Evaluation& evaluation, const std::vector<Runner>& runners) {
  const char* unit = evaluation.are_tokens ? "tokens" : "samples";
  std::string text = "speed";
  for (size_t i = 0; i < evaluation.seconds.size(); ++i)
    text += fmt::format("{} {} {:.1f} {}/s", i == 0 ? "    " : ",", i == 0 ? "model" : runners[i - 1].name,
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

void print_runtime(const Evaluation& evaluation, const std::vector<Runner>& runners) {
  fmt::print("\n");
  for (const OutputDifference& difference : evaluation.differences)
    fmt::print("{} from the simulation, {}: at most {:.3g}, where the largest value is {:.3g}\n",
               runners.back().name, difference.name, difference.largest, difference.largest_value);
  fmt::print("{}\n", describe_speed(evaluation, runners));
}

/// The quantized program; without a .pt2 the folder itself is a model of the door's kind.
Program open_simulation(const std::string& path, const EvaluateFlags& flags, const Door& door) {
  return path == flags.folder ? door.open(path, flags.data).program : load_program(path);
}

void check_outputs(const Program& fp, const Program& quantized) {
  ADA_CHECK(fp.outputs.size() == quantized.outputs.size(),
            "the quantized model has {} outputs, the model {}: not made from this model",
            quantized.outputs.size(), fp.outputs.size());
}

void evaluate(const EvaluateFlags& flags, const Doors& doors, const Runtimes& runtimes) {
  check_data_options(flags.data);
  const Runtime* runtime = flags.runtime.empty() ? nullptr : &find_runtime(runtimes, flags.runtime);
  const Door& door = door_for(doors, flags.model);
  const auto simulation = simulation_in(flags.folder, door, runtime == nullptr);
  if (flags.device != "auto") find_device(flags.device);  // before the model, which may be large
  OpenedModel fp = door.open(flags.model, flags.data);
  fp.program.device = device_for(fp, flags.device);
  const Batches batches = cut_batches(fp, flags.data);

  std::vector<Runner> runners;
  std::optional<Program> quantized;
  if (simulation) {
    quantized = open_simulation(*simulation, flags, door);
    check_outputs(fp.program, *quantized);
    quantized->device = fp.program.device;
    runners.push_back(program_runner("simulation", *quantized));
  }
  if (runtime != nullptr)
    runners.push_back(
        runtime_runner(runtime->name, fp.program, runtime->open(flags.folder, names_of(fp.program))));
  fmt::print("{} against {}, {} samples{}\n\n", simulation.value_or(flags.folder), flags.model,
             batches.samples,
             !simulation                   ? "; no .pt2 in it, so without the simulation"
             : *simulation == flags.folder ? "; weights alone, activations in full precision"
                                           : "");
  const Evaluation evaluation = evaluate_runners(fp.program, runners, batches.inputs);
  print_outputs(evaluation, runtime != nullptr);
  for (const std::string& line : evaluation.missing) fmt::print("{}\n", line);
  if (runtime != nullptr) print_runtime(evaluation, runners);
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

Command evaluate_command(CLI::App& app, const Doors& doors, const Runtimes& runtimes) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* command =
      app.add_subcommand("evaluate", "compare a quantized folder with the model it came from");
  command->add_option("MODEL", flags->model, describe(doors))->required();
  command
      ->add_option("DIR", flags->folder,
                   "what adascale quantize wrote: exactly one .pt2 is in it, or a model of MODEL's kind; "
                   "with --runtime the runtime's file alone will do")
      ->required();
  add_data_flags(*command, flags->data, doors)->required();
  command
      ->add_option("--runtime", flags->runtime,
                   "run what was exported in the program that will use it too; adascale list runtimes")
      ->type_name("NAME");
  command
      ->add_option("--device", flags->device,
                   "where model and simulation run: cpu, cuda, cuda:1 or any other device of this torch; "
                   "auto: cuda if there is one")
      ->type_name("NAME");
  command->footer(kMetricsHelp);
  return {command, [flags, &doors, &runtimes] { evaluate(*flags, doors, runtimes); }};
}

}  // namespace adascale
