#pragma once
#include <string>

#include "adascale/graph/program.h"

namespace adascale {

/// The device for `name`; auto: the device of the program's parameters and buffers, the CPU
/// without any. Throws (user) for a device that is not here, and for a program on two devices,
/// naming a tensor of each.
c10::Device compute_device(const Program& program, const std::string& name);

}  // namespace adascale
