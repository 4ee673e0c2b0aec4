#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/io/pt2.h"
#include "cli/calibration.h"
#include "cli/commands.h"
#include "cli/data_flags.h"
#include "cli/evaluation.h"
#include "cli/text.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

struct EvaluateFlags {
  std::string model, folder;
  DataRequest data;
};

/// What `quantize` left in the folder: a .pt2, or a model of the same kind as the one it came from.
std::string quantized_model(const std::string& folder, const Door& door) {
  ADA_CHECK(fs::is_directory(folder), "{}: not a folder; expected the --output-dir of adascale quantize",
            folder);
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".pt2") found.push_back(entry.path().string());
  if (found.empty() && door.matches(folder)) return folder;
  ADA_CHECK(found.size() == 1, "{}: holds {} .pt2 files, expected exactly one quantized model", folder,
            found.size());
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
          fmt::format("{:.2f}", output.metrics.sqnr_db()),
          fmt::format("{:.5f}", output.metrics.mean_cosine()),
          format_optional(output.metrics.top1_agreement(), 4),
          format_optional(kl, 5),
          format_optional(fp_perplexity, 3),
          format_optional(quant_perplexity, 3)};
}

void evaluate(const EvaluateFlags& flags, const Doors& doors) {
  check_data_options(flags.data);
  const Door& door = door_for(doors, flags.model);
  const std::string quantized_path = quantized_model(flags.folder, door);
  const OpenedModel fp = door.open(flags.model, flags.data);
  const Batches batches = cut_batches(fp, flags.data);
  const bool is_folder = quantized_path == flags.folder;
  const Program quantized =
      is_folder ? door.open(flags.folder, flags.data).program : load_program(quantized_path);
  fmt::print("{} against {}, {} samples{}\n\n", quantized_path, flags.model, batches.samples,
             is_folder ? "; weights alone, activations in full precision" : "");

  std::vector<Row> rows = {{"output", "SQNR dB", "cosine", "top-1 agreement", "KL divergence", "perplexity",
                            "quantized perplexity"}};
  for (const OutputComparison& output : compare(fp.program, quantized, batches.inputs))
    rows.push_back(row_of(output));
  fmt::print("{}", format_table(rows));
}

constexpr char kMetricsHelp[] =
    "A line per floating-point output, over all samples.\n"
    "  SQNR             10 log10(sum x^2 / sum (x - y)^2), in dB\n"
    "  cosine           mean over the vectors of the last dimension\n"
    "  top-1 agreement  share of those vectors whose largest element is at the same place\n"
    "  KL divergence    KL(model || quantized) per token, in nats\n"
    "  perplexity       exp of the mean negative log likelihood of the next token: for causal language "
    "models\n"
    "The last two are for logits over tokens: an output [batch, seq, vocab] and exactly one int64 input "
    "[batch, seq] that is "
    "looked up\nin an embedding of vocab rows. Where there is an input attention_mask [batch, seq], "
    "positions with 0 "
    "are left out of that line.";

}  // namespace

Command evaluate_command(CLI::App& app, const Doors& doors) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* command =
      app.add_subcommand("evaluate", "compare a quantized folder with the model it came from");
  command->add_option("MODEL", flags->model, describe(doors))->required();
  command
      ->add_option("DIR", flags->folder,
                   "what adascale quantize wrote: exactly one .pt2 is in it, or a model of MODEL's kind")
      ->required();
  add_data_flags(*command, flags->data, doors)->required();
  command->footer(kMetricsHelp);
  return {command, [flags, &doors] { evaluate(*flags, doors); }};
}

}  // namespace adascale
