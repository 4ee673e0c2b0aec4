#include "adascale/tune/last_stage_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "adascale/core/error.h"
#include "adascale/quant/forms/form.h"
#include "adascale/tune/output_loss.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

std::string why_none_is_rescaled(const QuantizationSimModel& sim, const std::vector<Block>& blocks) {
  std::set<std::string> forms;
  for (const QuantizedWeight& weight : sim.weights())
    if (reason_not_trained(sim, weight, blocks).empty()) forms.insert(weight.grid.form->name());
  ADA_ASSERT(!forms.empty(), "a run without a weight to train");
  return fmt::format("it does not train scales of {}", fmt::join(forms, " and "));
}

}  // namespace

std::vector<int32_t> weights_to_rescale(const QuantizationSimModel& sim, const std::vector<Block>& blocks) {
  std::vector<int32_t> indices;
  for (int32_t index = 0; index < static_cast<int32_t>(sim.weights().size()); ++index) {
    const QuantizedWeight& weight = sim.weights()[index];
    if (weight.grid.form->has_free_floats() && reason_not_trained(sim, weight, blocks).empty())
      indices.push_back(index);
  }
  return indices;
}

std::map<ValueId, size_t> values_of_weights(const QuantizationSimModel& sim,
                                            const std::vector<int32_t>& weights) {
  std::map<ValueId, size_t> places;
  for (const ProgramInput& input : sim.program().inputs) {
    if (input.kind != ProgramInput::Kind::kParameter || input.value == kNone) continue;
    for (size_t place = 0; place < weights.size(); ++place) {
      const std::vector<std::string>& names = sim.weights()[weights[place]].layer.parameters;
      if (std::find(names.begin(), names.end(), input.name) != names.end()) places[input.value] = place;
    }
  }
  return places;
}

std::vector<NodeId> ends_of_blocks(const QuantizationSimModel& sim, const std::vector<Block>& blocks) {
  std::set<NodeId> ends;
  for (const Block& block : blocks) ends.insert(block.nodes.back());
  for (const Block& block : find_blocks(sim.program())) ends.insert(block.nodes.back());
  return {ends.begin(), ends.end()};
}

Chunks chunks_at_blocks(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                        const std::set<ValueId>& learned, ValueId output) {
  return {sim.program(), ends_of_blocks(sim, blocks), learned, output};
}

Chunks chunks_for_last_stage(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                             ValueId output) {
  std::set<ValueId> learned;
  for (const auto& [value, place] : values_of_weights(sim, weights_to_rescale(sim, blocks)))
    learned.insert(value);
  return chunks_at_blocks(sim, blocks, learned, output);
}

int64_t samples_of(const Inputs& batch) {
  for (const c10::IValue& input : batch)
    if (input.isTensor() && input.toTensor().dim() > 0) return input.toTensor().size(0);
  return 1;
}

int64_t held_out_for_last_stage(const std::vector<Inputs>& batches) {
  constexpr int64_t kFewest = 16, kPart = 8, kLargestPart = 4;
  int64_t samples = 0, held_out = 0;
  for (const Inputs& batch : batches) samples += samples_of(batch);
  if (samples < kFewest) return 0;
  for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
    held_out += samples_of(*batch);
    if (held_out * kLargestPart > samples) return 0;
    if (held_out * kPart >= samples) return batch - batches.rbegin() + 1;
  }
  return 0;
}

std::string why_no_last_stage(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                              int64_t held_out) {
  constexpr const char* kTooFew =
      "an eighth of the samples cannot be held out: it takes 16 samples or more, in batches of at most a "
      "quarter of them";
  if (held_out == 0) return kTooFew;
  const ComparedOutput output = compared_output(sim.program());
  if (output.value == kNone) return "the model has no output of floats";
  if (weights_to_rescale(sim, blocks).empty()) return why_none_is_rescaled(sim, blocks);
  return chunks_for_last_stage(sim, blocks, output.value).obstacle();
}

}  // namespace adascale
