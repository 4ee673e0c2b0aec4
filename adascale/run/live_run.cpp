#include "adascale/run/live_run.h"

#include <algorithm>

#include "adascale/core/passes.h"
#include "adascale/core/spelling.h"
#include "adascale/device/devices.h"
#include "adascale/run/bit_target.h"

namespace adascale {
namespace {

bool is_inside(const std::string& name, const std::string& module) {
  return name.starts_with(module + ".");
}

/// Whether an operator of the part takes a weight of the module.
bool uses(const Program& part, const std::string& module) {
  return std::any_of(part.inputs.begin(), part.inputs.end(), [&](const ProgramInput& input) {
    return input.kind != ProgramInput::Kind::kUser && is_inside(input.name, module) &&
           !part.values[input.value].users.empty();
  });
}

/// Notes the outermost modules without data, unless a part uses their weights without a call of theirs, or a
/// module left out, with a reason of its own, holds them.
std::vector<PartedModel::LeftOut> not_in_parts(const OpenedParts& opened,
                                               const std::vector<ModelPlan>& plans) {
  std::vector<PartedModel::LeftOut> all = opened.not_captured;
  const auto is_known = [&](const std::string& module) {
    return std::any_of(plans.begin(), plans.end(),
                       [&](const ModelPlan& plan) { return uses(plan.sim.program(), module); }) ||
           std::any_of(all.begin(), all.end(), [&](const auto& one) { return is_inside(module, one.path); });
  };
  // A module is listed before those in it.
  for (const std::string& module : opened.idle)
    if (!is_known(module)) all.push_back({module, "no data reaches it, full precision"});
  return all;
}

PartedModel parted(const OpenedParts& opened, std::vector<ModelPlan>& plans) {
  std::vector<SimPart> parts;
  for (ModelPlan& plan : plans) parts.push_back({plan.sim, plan.path});
  return make_parted_model(std::move(parts), opened.refusal, not_in_parts(opened, plans), opened.places);
}

}  // namespace

LiveRun::LiveRun(OpenedParts opened, std::vector<ModelPlan>& plans)
    : model(parted(opened, plans)),
      running(opened.start(model)),
      first_batch(std::move(opened.first_batch)) {}

void LiveRun::look() {
  inputs = std::make_unique<LiveInputs>(model, running.live);
}

void LiveRun::compute_encodings() {
  begin_calibration(model);
  try {
    const auto count = static_cast<int64_t>(running.live.batches);
    Pass pass("activation ranges", count);
    for (int64_t batch = 0; batch < count; ++batch) {
      running.run_quantized(batch);
      pass.step();
    }
    end_calibration(model, /*may_miss=*/true);
  } catch (...) {  // boundary: undo the beginning, then pass the exception on
    abort_calibration(model);
    throw;
  }
}

void check_options_of_parts(const QuantizeRequest& request, const OpenedParts& opened,
                            Objections& objections) {
  const std::string why = fmt::format(
      "the model is quantized block by block ({}), and what is outside the blocks stays in full precision; "
      "leave it out, or name more modules with {}",
      opened.refusal, option("blocks"));
  if (request.outside_bw != kOffBits)
    objections.add("{}: got {}, but {}", option("outside_bw"), request.outside_bw, why);
  if (has_bit_target(request))
    objections.add(
        "{}: the model is quantized block by block ({}), and layers' bits are chosen by the output of a "
        "whole one; give {}, and {} for layers that need more",
        asked_target(request), opened.refusal, option("param_bw"), option("layer_config"));
  if (request.sim.device != "auto")
    objections.gather([&] { check_device_of_parts(find_device(request.sim.device), opened.device); });
}

std::vector<ModelPlan> plan_parts(std::vector<OpenedParts::Part>& parts, const QuantizeRequest& request,
                                  const FitGrid& fit_grid) {
  std::vector<ModelPlan> plans;
  Objections objections;
  for (OpenedParts::Part& part : parts)
    objections.gather(
        [&] { plans.push_back(plan_part(std::move(part.program), part.path, request, fit_grid)); });
  objections.raise();
  return plans;
}

}  // namespace adascale
