#pragma once

#include <ATen/core/Generator.h>

namespace fake_device {

/// A generator of the device; its numbers come from a CPU generator, which
/// `host_generator` gives to CPU operators.
at::Generator make_generator();
const at::Generator& default_generator();
at::Generator host_generator(const at::Generator& generator);

}  // namespace fake_device
