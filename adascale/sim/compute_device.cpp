#include "adascale/sim/compute_device.h"

#include "adascale/core/error.h"
#include "adascale/device/devices.h"

namespace adascale {
namespace {

/// The first parameter or buffer, once all are found to be on one device; null without any.
/// Constants of the graph do not count: torch.export leaves them on the CPU.
const at::Tensor* check_one_device(const Program& program) {
  const std::string* first_name = nullptr;
  const at::Tensor* first = nullptr;
  for (const ProgramInput& input : program.inputs) {
    using Kind = ProgramInput::Kind;
    if (input.kind != Kind::kParameter && input.kind != Kind::kBuffer) continue;
    const at::Tensor& tensor = program.state.at(input.name);
    if (first == nullptr) {
      first_name = &input.name;
      first = &tensor;
    }
    ADA_CHECK(tensor.device() == first->device(),
              "{} is on {}, {} on {}: expected a model on one device; move it with model.to(...)",
              *first_name, first->device().str(), input.name, tensor.device().str());
  }
  ADA_CHECK(first == nullptr || !first->is_meta(),
            "{} is on meta and holds no numbers; load the model's weights first", *first_name);
  return first;
}

}  // namespace

c10::Device compute_device(const Program& program, const std::string& name) {
  const at::Tensor* first = check_one_device(program);
  if (name != "auto") return find_device(name);
  return first == nullptr ? c10::Device(at::kCPU) : first->device();
}

}  // namespace adascale
