#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/io/pt2.h"
#include "cli/calibration.h"
#include "cli/commands.h"
#include "cli/evaluation.h"
#include "cli/text.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

struct EvaluateFlags {
  std::string model, folder, data;
  std::optional<int64_t> batch_size;
};

std::string quantized_program(const std::string& folder) {
  ADA_CHECK(fs::is_directory(folder), "{}: not a folder; expected the --output-dir of adascale quantize",
            folder);
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".pt2") found.push_back(entry.path().string());
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
  const std::string quantized_path = quantized_program(flags.folder);
  const Program fp = door_for(doors, flags.model).open(flags.model).program;
  const Program quantized = load_program(quantized_path);
  const Batches batches = read_batches(fp, flags.data, flags.batch_size);
  fmt::print("{} against {}, {} samples\n\n", quantized_path, flags.model, batches.samples);

  std::vector<Row> rows = {{"output", "SQNR dB", "cosine", "top-1 agreement", "KL divergence", "perplexity",
                            "quantized perplexity"}};
  for (const OutputComparison& output : compare(fp, quantized, batches.inputs))
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
  command->add_option("DIR", flags->folder, "what adascale quantize wrote: exactly one .pt2 is in it")
      ->required();
  command
      ->add_option("--data", flags->data,
                   "held-out samples: .safetensors, tensors named like the model's inputs")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--batch-size", flags->batch_size,
                   fmt::format("samples per run; without it {}, or what the model was exported for",
                               kDefaultBatchSize))
      ->type_name("N");
  command->footer(kMetricsHelp);
  return {command, [flags, &doors] { evaluate(*flags, doors); }};
}

}  // namespace adascale
