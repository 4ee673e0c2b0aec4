#include "adascale/core/error.h"
#include "adascale/device/devices.h"
#include "adascale/graph/interpreter.h"
#include "cli/evaluation.h"

namespace adascale {
namespace {

/// A program ready to run batch after batch.
class PlannedProgram {
 public:
  explicit PlannedProgram(const Program& program) : program_(program), plan_(program) {}
  std::vector<at::Tensor> run(const Inputs& inputs) const {
    check_inputs(program_, inputs);
    Environment environment(program_);
    feed_inputs(program_, inputs, environment);
    plan_.run(environment);
    wait_for(program_.device);  // it is timed
    std::vector<at::Tensor> tensors;
    for (const c10::IValue& output : collect_outputs(program_, environment))
      tensors.push_back(output.isTensor() ? output.toTensor() : at::Tensor());
    return tensors;
  }

 private:
  const Program& program_;
  Plan plan_;
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
  const auto planned = std::make_shared<PlannedProgram>(program);
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
