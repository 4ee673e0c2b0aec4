#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/device/devices.h"
#include "adascale/device/memory.h"
#include "adascale/graph/interpreter.h"
#include "adascale/run/evaluation.h"

namespace adascale {
namespace {

/// A program prepared to run many batches.
class InterpretedProgram {
 public:
  explicit InterpretedProgram(const Program& program) : program_(program), interpreter_(program) {
    place_state();
  }
  std::vector<at::Tensor> run(const Inputs& inputs) const {
    check_inputs(program_, inputs);
    Environment environment(program_);
    feed_inputs(program_, inputs, environment);
    interpreter_.run(environment, hooks_);
    wait_for(program_.device);  // it is timed
    std::vector<at::Tensor> tensors;
    for (const c10::IValue& output : collect_outputs(program_, environment))
      tensors.push_back(output.isTensor() ? output.toTensor() : at::Tensor());
    return tensors;
  }

 private:
  /// Copies the state to the device once, if there is room; otherwise each run copies it anew,
  /// which takes most of its time.
  void place_state() {
    int64_t bytes = 0;
    for (const auto& [name, tensor] : program_.state)
      if (tensor.device() != program_.device) bytes += static_cast<int64_t>(tensor.nbytes());
    if (bytes == 0) return;
    const int64_t room =
        free_device_bytes(program_.device).value_or(0) / 2;  // the rest is for another and for runs
    if (bytes > room)
      return log_line(
          fmt::format("{}: its weights take {} MiB, more than half of what is free: "
                      "they are copied there for each batch anew",
                      program_.device.str(), bytes >> 20));
    for (const auto& [name, tensor] : program_.state) placed_[name] = tensor.detach().to(program_.device);
    hooks_.load_state = [this](ValueId value) { return placed_.at(program_.input_of(value)->name); };
  }

  const Program& program_;
  Interpreter interpreter_;
  std::unordered_map<std::string, at::Tensor> placed_;
  RunHooks hooks_;
};

Samples samples_of(const Program& program, const Inputs& inputs) {
  Samples samples;
  const auto places = program.user_inputs();
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i]->value != kNone) samples[places[i]->name] = inputs[i].toTensor();
  return samples;
}

}  // namespace

Runner program_runner(const std::string& name, const Program& program) {
  const auto planned = std::make_shared<InterpretedProgram>(program);
  return {name, [planned](const Inputs& inputs) { return planned->run(inputs); }};
}

Runner runtime_runner(const std::string& name, const Program& program, RunBatch run) {
  return {name, [&program, run = std::move(run), name](const Inputs& inputs) {
            std::vector<at::Tensor> outputs = run(samples_of(program, inputs));
            ADA_CHECK(outputs.size() == program.outputs.size(), "{}: gave {} outputs, the model has {}", name,
                      outputs.size(), program.outputs.size());
            return outputs;
          }};
}

ModelNames names_of(const Program& program) {
  ModelNames names;
  for (const ProgramInput* input : program.user_inputs())
    if (input->value != kNone) names.inputs.push_back(input->name);
  for (const Argument& output : program.outputs) {
    const bool is_tensor = output.value != kNone && program.values[output.value].kind == ValueKind::kTensor;
    names.outputs.push_back(is_tensor ? std::optional(program.values[output.value].name) : std::nullopt);
  }
  return names;
}

}  // namespace adascale
