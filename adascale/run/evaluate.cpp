#include "adascale/run/evaluate.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/device/devices.h"
#include "adascale/io/pt2.h"
#include "adascale/run/batches.h"
#include "adascale/run/stored.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

constexpr char kCure[] = "evaluate runs programs of whole models; run both models in Python";

void check_request(const EvaluateRequest& request) {
  Objections objections;
  visit_data_options(RuleChecker(objections), request.data.options);
  check_data_files(request.data, objections);
  if (request.device != "auto") objections.gather([&] { find_device(request.device); });
  objections.raise();
}

/// Packed weights are for their runtime; no door opens them.
bool is_packed(const fs::path& config) {
  std::ifstream in(config);
  const auto json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("quantization_config");
}

/// The model in the folder to simulate, written by `quantize`: a .pt2, or a model of the same kind
/// as its source. With a runtime there may be none.
std::optional<std::string> simulation_in(const std::string& folder, const Door& door, bool is_needed) {
  ADA_CHECK(fs::is_directory(folder), "{}: not a folder; expected one that adascale quantize wrote", folder);
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".pt2") found.push_back(entry.path().string());
  const fs::path config = fs::path(folder) / "config.json";
  ADA_CHECK(!found.empty() || !is_needed || !is_packed(config),
            "{}: holds packed weights, which only a runtime reads; add {}", folder,
            option("runtime", "transformers"));
  if (found.empty() && door.matches(folder) && (is_needed || (fs::exists(config) && !is_packed(config))))
    return folder;
  if (found.empty() && !is_needed) return std::nullopt;
  ADA_CHECK(found.size() == 1, "{}: holds {} .pt2 files, expected exactly one quantized model{}", folder,
            found.size(),
            is_needed ? fmt::format("; quantize with {} too, or run another file with {}",
                                    option("formats", "pt2"), option("runtime"))
                      : "");
  return found[0];
}

/// The quantized program; without a .pt2 the folder itself is a model of the door's kind.
Program open_simulation(const std::string& path, const EvaluateRequest& request, const Door& door) {
  if (path != request.folder) return load_program(path);
  OpenedModel opened = door.open(path, request.data);
  check_is_whole(opened, kCure);
  return std::move(opened.program);
}

void check_outputs(const Program& fp, const Program& quantized) {
  ADA_CHECK(fp.outputs.size() == quantized.outputs.size(),
            "the quantized model has {} outputs, the model {}: not made from this model",
            quantized.outputs.size(), fp.outputs.size());
}

/// Without tasks a door may have data in memory.
bool is_of_tasks_alone(const EvaluateRequest& request) {
  return !request.tasks.empty() && request.data.files.empty();
}

void check_tasks(const EvaluateRequest& request, const std::optional<TaskRunner>& task_runner) {
  if (request.tasks.empty()) return;
  ADA_CHECK(request.runtime.empty() || !is_of_tasks_alone(request),
            "{}: runs on data; give {}, or leave it out", option("runtime", request.runtime), option("data"));
  ADA_CHECK(task_runner.has_value(),
            "{}: this command runs no tasks; the one of the Python package does: pip install adascale",
            option("lm_eval"));
  task_runner->check(request.model, request.folder, request.tasks);
}

/// Metrics on the data, into `result`.
void compare_on_data(const EvaluateRequest& request, const Doors& doors, const Runtimes& runtimes,
                     EvaluatedFolder& result) {
  const Runtime* runtime = request.runtime.empty() ? nullptr : &find_runtime(runtimes, request.runtime);
  const Door& door = door_for(doors, request.model);
  result.simulation = simulation_in(request.folder, door, runtime == nullptr);
  OpenedModel fp = door.open(request.model, request.data);
  check_is_whole(fp, kCure);
  fp.program.device = device_for(fp, request.device);
  const Batches batches = cut_batches(fp, request.data);
  result.samples = batches.samples;
  result.decode = fp.decode;

  std::vector<Runner> runners;
  std::optional<Program> quantized;
  if (result.simulation) {
    quantized = open_simulation(*result.simulation, request, door);
    check_outputs(fp.program, *quantized);
    quantized->device = fp.program.device;
    runners.push_back(program_runner("simulation", *quantized));
  }
  if (runtime != nullptr)
    runners.push_back(
        runtime_runner(runtime->name, fp.program, runtime->open(request.folder, names_of(fp.program))));
  for (const Runner& runner : runners) result.runners.push_back(runner.name);
  result.evaluation = evaluate_runners(fp.program, runners, batches.inputs);
}

}  // namespace

EvaluatedFolder evaluate(const EvaluateRequest& request, const Doors& doors, const Runtimes& runtimes,
                         const std::optional<TaskRunner>& task_runner, const OnCompared& on_compared) {
  check_request(request);
  check_tasks(request, task_runner);
  EvaluatedFolder result;
  if (!request.tasks.empty()) result.activations_not_held = activations_not_held(request.folder);
  if (!is_of_tasks_alone(request)) {
    compare_on_data(request, doors, runtimes, result);
    if (on_compared) on_compared(result);
  }
  if (!request.tasks.empty())
    result.tasks = task_runner->run(request.model, request.folder, request.tasks, request.device);
  return result;
}

}  // namespace adascale
