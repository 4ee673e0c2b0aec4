#include "adascale/run/quantize.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>

#include "adascale/core/error.h"
#include "adascale/core/passes.h"
#include "adascale/device/flags.h"
#include "adascale/run/model_card.h"
#include "adascale/run/pages.h"
#include "adascale/run/plan_text.h"
#include "adascale/run/report_json.h"
#include "adascale/run/report_text.h"
#include "adascale/run/text.h"
#include "adascale/tune/checkpoint.h"

namespace adascale {
namespace {

AdaScaleReport train_model(RunPlan& plan) {
  if (!plan.live) return train(plan.parts.front().sim, plan.training, plan.batches.inputs);
  check_outside_unchanged(plan.live->model);
  return train(plan.live->model, plan.training,
               [&](size_t part, ActivationStore& store) { return plan.live->inputs->reach(part, store); });
}

void find_activation_ranges(RunPlan& plan) {
  QuantizationSimModel& sim = plan.parts.front().sim;
  const std::vector<Inputs>& batches = plan.batches.inputs;
  const AdaScaleOptions& options = plan.request.training;
  const FlagScope scope(sim.program().device, {.deterministic = options.deterministic});
  const WatchPasses watch(as_stages(options.progress));
  if (plan.live) return plan.live->compute_encodings();
  sim.compute_encodings([&](QuantizationSimModel& model) {
    Pass pass("activation ranges", static_cast<int64_t>(batches.size()));
    for (const Inputs& batch : batches) {
      model.call(batch);
      pass.step();
    }
  });
}

std::vector<std::string> write(const RunPlan& plan, const AdaScaleReport& report) {
  const WatchPasses watch(as_stages(plan.request.training.progress, /*passing=*/true));
  const std::string numbers = report_json(plan, report);
  std::map<std::string, std::string> texts = {{kReportFile, numbers}, {kReportPage, report_page(numbers)}};
  if (has_model_card(plan.files.formats)) texts[kCardFile] = model_card(plan, report);
  return write_files(plan.to_write(), plan.files, texts);
}

bool has_activations(const RunPlan& plan) {
  return std::any_of(plan.parts.begin(), plan.parts.end(),
                     [](const ModelPlan& part) { return !part.sim.activations().empty(); });
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;  // Linux counts kibibytes
}

}  // namespace

void say_plan(const RunPlan& plan, const Say& say) {
  if (say && plan.training.team->leads()) say(describe(plan));
}

AdaScaleReport quantize(const QuantizeRequest& request, const Doors& doors, const Say& say, Told told) {
  RunPlan plan = plan_run(request, doors);
  say_plan(plan, say);
  return request.dry_run ? AdaScaleReport() : run(plan, say, told);
}

AdaScaleReport run(RunPlan& plan, const Say& say, Told told) {
  ADA_CHECK(!plan.request.dry_run, "run: the plan is of a dry run, which reads no weights; plan without it");
  const AdaScaleReport report = train_model(plan);
  Team& team = *plan.training.team;
  if (!team.leads()) {  // the first process writes
    team.wait();
    return report;
  }
  if (has_activations(plan)) find_activation_ranges(plan);
  const std::vector<std::string> paths = write(plan, report);
  if (keeps_blocks(plan.training.options)) remove_checkpoint(plan.training.options.checkpoint_dir);
  team.wait();
  if (!say) return report;
  say(fmt::format("{}\nsize      {}\n", told == Told::kBlocks ? report_text(report) : report_summary(report),
                  describe_size(plan.to_write(), plan.files.formats)));
  for (const std::string& path : paths)
    say(fmt::format("wrote     {}, {}\n", path,
                    format_bytes(static_cast<int64_t>(std::filesystem::file_size(path)))));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - plan.started;
  say(fmt::format("took      {:.1f} s, peak memory {}, with what is mapped\n", seconds.count(),
                  format_bytes(peak_memory_bytes())));
  return report;
}

}  // namespace adascale
