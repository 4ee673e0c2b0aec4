#include "adascale/run/quantize.h"

#include <sys/resource.h>

#include <chrono>

#include "adascale/device/flags.h"
#include "adascale/run/plan_text.h"
#include "adascale/run/text.h"

namespace adascale {
namespace {

void find_activation_ranges(RunPlan& plan) {
  QuantizationSimModel& sim = plan.model.sim;
  const std::vector<Inputs>& batches = plan.batches.inputs;
  const AdaScaleOptions& options = plan.request.training;
  const FlagScope scope(sim.program().device, {.deterministic = options.deterministic});
  sim.compute_encodings([&](QuantizationSimModel& model) {
    int64_t done = 0;
    for (const Inputs& batch : batches) {
      model.call(batch);
      if (options.progress)
        options.progress({"activation ranges", ++done, static_cast<int64_t>(batches.size()), std::nullopt});
    }
  });
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;  // Linux counts kibibytes
}

}  // namespace

AdaScaleReport quantize(const QuantizeRequest& request, const Doors& doors, const Say& say) {
  RunPlan plan = plan_run(request, doors);
  if (say) say(describe(plan));
  return run(plan, say);
}

AdaScaleReport run(RunPlan& plan, const Say& say) {
  const auto start = std::chrono::steady_clock::now();
  QuantizationSimModel& sim = plan.model.sim;
  const AdaScaleReport report = train(sim, plan.training, plan.batches.inputs);
  if (!sim.activations().empty()) find_activation_ranges(plan);
  const std::vector<std::string> paths =
      write_files(sim, plan.files, {{kReportFile, report_json(plan, report)}});
  if (!say) return report;
  say(fmt::format("{}\nsize      {}\n", to_string(report), describe_size(sim)));
  for (const std::string& path : paths) say(fmt::format("wrote     {}\n", path));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  say(fmt::format("took      {:.1f} s, peak memory {}\n", seconds.count(),
                  format_bytes(peak_memory_bytes())));
  return report;
}

}  // namespace adascale
