#include "adascale/run/live_run.h"

#include "adascale/core/spelling.h"
#include "adascale/device/devices.h"

namespace adascale {
namespace {

PartedModel parted(OpenedParts& opened, std::vector<ModelPlan>& plans) {
  std::vector<SimPart> parts;
  for (ModelPlan& plan : plans) parts.push_back({plan.sim, plan.path});
  return make_parted_model(std::move(parts), opened.refusal, std::move(opened.not_captured), opened.places);
}

}  // namespace

LiveRun::LiveRun(OpenedParts opened, std::vector<ModelPlan>& plans)
    : model(parted(opened, plans)),
      running(opened.start(model)),
      first_batch(std::move(opened.first_batch)) {}

void LiveRun::look() {
  inputs = std::make_unique<LiveInputs>(model, running.live);
}

void LiveRun::compute_encodings(const ProgressSink& progress) {
  begin_calibration(model);
  try {
    const auto count = static_cast<int64_t>(running.live.batches);
    for (int64_t batch = 0; batch < count; ++batch) {
      running.run_quantized(batch);
      if (progress) progress({"activation ranges", batch + 1, count, std::nullopt});
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
  if (request.sim.device != "auto")
    objections.gather([&] {
      ADA_CHECK(find_device(request.sim.device) == opened.device,
                "{}: got {}, but a model that is quantized block by block runs where it is, on {}; leave it "
                "out, or move the model with model.to(...)",
                option("device"), request.sim.device, opened.device.str());
    });
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
