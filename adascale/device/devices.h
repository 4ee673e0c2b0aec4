#pragma once
#include <c10/core/Device.h>

#include <string>
#include <vector>

namespace adascale {

/// The device that torch knows under `name`: "cpu", "cuda", "cuda:1" or any other whose backend is in this
/// process. Without a number it is the backend's current device. Loads torch's CUDA library where it lies
/// beside torch and is asked for. Throws (user), naming what is present, for a name that torch does not know
/// and for a device that is not there.
c10::Device find_device(const std::string& name);

/// The CPU, then every device of the backends in this process, and the CUDA devices of this machine if torch
/// was built for them.
std::vector<std::string> present_devices();

/// cuda:0 where there is one that torch can use, else the CPU, with a line in the log where its driver does
/// not answer: for models that come from a file.
c10::Device preferred_device();

/// Until the device has done all it was given; nothing on the CPU.
void wait_for(c10::Device device);

}  // namespace adascale
