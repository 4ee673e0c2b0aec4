#include "adascale/run/model_card.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "adascale/core/version.h"
#include "adascale/core/words.h"
#include "adascale/formats/folder_files.h"
#include "adascale/run/call_text.h"
#include "adascale/run/left_out.h"
#include "adascale/run/text.h"
#include "adascale/run/weight_size.h"
#include "adascale/tune/training_summary.h"

namespace adascale {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

/// Names come from models: none of them ends a cell or begins an element, a link or code.
std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (std::string_view("\\`*_[]<>|#").find(c) != std::string_view::npos) safe += '\\';
    safe += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return safe;
}

/// A table of two columns without heads, which Markdown asks for.
std::string table(const Facts& facts) {
  std::string text = "| | |\n|---|---|\n";
  for (const auto& [name, value] : facts) text += fmt::format("| {} | {} |\n", name, value);
  return text;
}

std::string code(const std::string& language, const std::string& text) {
  return fmt::format("```{}\n{}\n```\n", language, text);
}

std::string title(const RunPlan& plan) {
  return escaped(name_of(plan.request.model));
}

/// A link where the hub has it.
std::string original(const RunPlan& plan) {
  const std::string& name = plan.files.options.source.card.model;
  return name.empty() ? title(plan) : fmt::format("[{0}](https://huggingface.co/{0})", name);
}

std::string weights_of(const RunPlan& plan) {
  std::map<std::string, int64_t> counts;
  for (const QuantizationSimModel* sim : plan.sims())
    for (const QuantizedWeight& weight : sim->weights()) ++counts[to_string(weight.grid)];
  std::vector<std::string> grids;
  for (const auto& [grid, count] : counts)
    grids.push_back(fmt::format("{} with {}", plural(count, "layer"), grid));
  return fmt::format("{}", fmt::join(grids, "; "));
}

std::string activations_of(const RunPlan& plan) {
  int64_t count = 0;
  for (const QuantizationSimModel* sim : plan.sims())
    count += static_cast<int64_t>(sim->activations().size());
  return count == 0 ? "in full precision" : fmt::format("{} on grids", count);
}

std::string left_out_of(const RunPlan& plan) {
  constexpr size_t kShown = 3;
  std::vector<std::string> names;
  for (const LeftOut& one : left_out(plan)) names.push_back(escaped(one.name));
  if (names.empty()) return "nothing";
  const size_t shown = std::min(kShown, names.size());
  const std::string first = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
  return shown == names.size() ? first : fmt::format("{} and {} more", first, names.size() - shown);
}

std::string size_text(const RunPlan& plan) {
  const ModelSize size = size_of(plan.to_write());
  std::vector<std::string> wide;
  for (const ChosenFormat& chosen : plan.files.formats)
    if (chosen.format->weights_as == WeightsAs::kValues) wide.push_back(chosen.format->name);
  const std::string packed =
      fmt::format("{} → {} with codes packed", format_bytes(size.before()), format_bytes(size.after()));
  if (wide.empty()) return packed;
  return fmt::format("{}; {} stores numbers in the model's dtype, as many bytes as before", packed,
                     fmt::join(wide, ", "));
}

std::string training_text(const TrainingPlan& training) {
  if (!training.recipe.trains()) return fmt::format("{}: nothing was trained", training.recipe.name);
  std::string text =
      fmt::format("{}, {} a block", training.recipe.name, plural(training.iterations, "iteration"));
  if (training.options.accumulate > 1) text += fmt::format(" of {} batches", training.options.accumulate);
  if (training.has_last_stage())
    text += fmt::format(", then {} of the last stage", plural(training.last_stage_iterations, "iteration"));
  return fmt::format("{}; seed {}", text, training.options.seed);
}

std::string data_text(const RunPlan& plan) {
  std::vector<std::string> names;
  for (const std::string& file : plan.request.data.files) names.push_back(escaped(name_of(file)));
  const std::string from = names.empty() ? "in memory" : fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{}: {}", from, plural(plan.batches.samples, "sample"));
}

Facts facts_of(const RunPlan& plan) {
  return {{"Original", original(plan)},
          {"Weights", weights_of(plan)},
          {"Activations", activations_of(plan)},
          {"In full precision", left_out_of(plan)},
          {"Size", size_text(plan)},
          {"Recipe", training_text(plan.training)},
          {"Calibration data", data_text(plan)}};
}

Facts quality_of(const AdaScaleReport& report, const TrainingSummary& summary) {
  Facts facts;
  if (summary.change)
    facts.emplace_back(
        "Error of a block's output, against rounding to nearest",
        fmt::format("{} (median of {})", describe_change(*summary.change), plural(summary.blocks, "block")));
  if (summary.held_out_change)
    facts.emplace_back("The same on batches that training did not see",
                       describe_change(*summary.held_out_change));
  if (report.last_stage && report.last_stage->iterations > 0)
    facts.emplace_back(
        "Loss of the whole model on held-out batches, before and after the last stage",
        fmt::format("{:.4g} → {:.4g}{}", report.last_stage->held_out_before,
                    report.last_stage->held_out_after, report.last_stage->kept ? "" : ", not kept"));
  if (summary.noisiest != nullptr)
    facts.emplace_back("Noisiest weight", fmt::format("{}, SQNR {:.1f} dB", escaped(summary.noisiest->name),
                                                      summary.noisiest->sqnr_db));
  return facts;
}

std::string loading(const ExportPlan& files) {
  std::string text;
  for (const ChosenFormat& chosen : files.formats)
    text +=
        fmt::format("{}:\n\n{}\n", chosen.format->name, code("", how_to_load(*chosen.format, files.prefix)));
  return text;
}

std::string licence(const CardSource& card) {
  std::vector<std::string> files;
  for (const std::string& name : card.license_files) files.push_back(escaped(name));
  const std::string beside =
      files.empty() ? "" : fmt::format(" Of the original beside this file: {}.", fmt::join(files, ", "));
  if (!card.license.empty())
    return fmt::format("{}, as the original.{}\n", escaped(card.license),
                       beside.empty() ? " Its text is not in this folder." : beside);
  return fmt::format("No licence is named.{} Look it up before you pass this model on.\n", beside);
}

}  // namespace

bool has_model_card(const std::vector<ChosenFormat>& formats) {
  return std::any_of(formats.begin(), formats.end(),
                     [](const ChosenFormat& chosen) { return chosen.format->is_folder; });
}

std::string model_card(const RunPlan& plan, const AdaScaleReport& report) {
  const CardSource& card = plan.files.options.source.card;
  const TrainingSummary summary = summarize(report);
  std::string text =
      fmt::format("---\n{}---\n{}\n\n# {}, quantized\n\n", card.front_matter, kCardMark, title(plan));
  text += fmt::format("{} with its weights on grids of few bits. Made by adascale {}.\n\n", original(plan),
                      kVersion);
  text += "## What was quantized\n\n" + table(facts_of(plan));
  text += fmt::format("\n## How good it is\n\n{}\n\n", verdict(summary));
  if (const Facts quality = quality_of(report, summary); !quality.empty()) text += table(quality) + "\n";
  text +=
      "These figures compare blocks and weights with the original's. `adascale evaluate` compares the whole\n"
      "models; `report.html` has each block and layer.\n";
  text += "\n## How to load it\n\nIn this folder:\n\n" + loading(plan.files);
  text += "## How it was made\n\n" + code("", call_of(plan));
  return text + "\n## Licence\n\n" + licence(card);
}

}  // namespace adascale
