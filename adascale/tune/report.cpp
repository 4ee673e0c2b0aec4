#include "adascale/tune/report.h"

#include <fmt/format.h>

namespace adascale {
namespace {

std::string to_string(const LastStageReport& stage) {
  if (stage.iterations == 0) return fmt::format("  no last stage: {}\n", stage.note);
  return fmt::format("  last stage: held out {:.4g} -> {:.4g}, {}, {} iterations, {:.1f} s\n",
                     stage.held_out_before, stage.held_out_after, stage.kept ? "kept" : "not kept",
                     stage.iterations, stage.seconds);
}

}  // namespace

std::string to_string(const AdaScaleReport& report) {
  std::string text = fmt::format("AdaScale, recipe {} on {} in {}: {} blocks in {:.0f} s\n", report.recipe,
                                 report.device, report.precision, report.blocks.size(), report.seconds);
  for (const BlockReport& block : report.blocks) {
    text += fmt::format("  {}: {} layers, loss {:.4g} {} {:.4g}", block.name, block.layers.size(),
                        block.loss_before, block.kept ? "->" : "and not", block.loss_after);
    if (block.held_out_before)
      text += fmt::format(", held out {:.4g} -> {:.4g}", *block.held_out_before, *block.held_out_after);
    text += fmt::format(", {} iterations, {:.1f} s", block.iterations, block.seconds);
    text += block.note.empty() ? "\n" : fmt::format(" ({})\n", block.note);
  }
  if (report.last_stage) text += to_string(*report.last_stage);
  for (const std::string& line : report.not_trained) text += fmt::format("  not trained: {}\n", line);
  return text;
}

}  // namespace adascale
