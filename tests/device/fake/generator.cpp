#include "device/fake/generator.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/library.h>

#include "device/fake/allocators.h"
#include "device/fake/fake_device.h"

namespace fake_device {
namespace {

class FakeGenerator final : public c10::GeneratorImpl {
 public:
  explicit FakeGenerator(at::Generator host)
      : GeneratorImpl(kFake, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1)), host_(std::move(host)) {}

  void set_current_seed(uint64_t seed) override { host_.set_current_seed(seed); }
  uint64_t current_seed() const override { return host_.current_seed(); }
  uint64_t seed() override { return host_.seed(); }
  void set_offset(uint64_t offset) override { host_.set_offset(offset); }
  uint64_t get_offset() const override { return host_.get_offset(); }
  void set_state(const c10::TensorImpl& state) override { host_.unsafeGetGeneratorImpl()->set_state(state); }
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override {
    return host_.unsafeGetGeneratorImpl()->get_state();
  }

  const at::Generator& host() const { return host_; }

 private:
  FakeGenerator* clone_impl() const override { return new FakeGenerator(host_.clone()); }

  at::Generator host_;
};

at::Tensor rng_state() {
  return default_generator().get_state();
}
void set_rng_state(const at::Tensor& state) {
  at::Generator(default_generator()).set_state(state);
}

}  // namespace

at::Generator make_generator() {
  return at::make_generator<FakeGenerator>(at::detail::createCPUGenerator());
}

const at::Generator& default_generator() {
  static const at::Generator generator = make_generator();
  return generator;
}

at::Generator host_generator(const at::Generator& generator) {
  TORCH_CHECK(generator.device().type() == kFakeType,
              "Expected a 'fake' device type for generator but found '", generator.device().type(), "'");
  return static_cast<FakeGenerator*>(generator.unsafeGetGeneratorImpl())->host();
}

TORCH_LIBRARY(fake_device, library) {
  library.def("rng_state() -> Tensor", &rng_state);
  library.def("set_rng_state(Tensor state) -> ()", &set_rng_state);
}

}  // namespace fake_device

void fake_device_seed(uint64_t seed) {
  at::Generator(fake_device::default_generator()).set_current_seed(seed);
}
