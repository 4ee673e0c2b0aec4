#pragma once
#include <c10/core/Device.h>

#include <string>
#include <vector>

namespace adascale {

/// The device that torch knows under `name`: "cpu", "cuda", "cuda:1" or any other whose backend is
/// in this process. Without a number it is the backend's current device. Loads torch's CUDA library
/// if it is asked for and lies beside torch. Throws (user), naming the devices present, for a name
/// that torch does not know and for a device that is not there.
c10::Device find_device(const std::string& name);

/// The CPU, then every device of the backends in this process, and the CUDA devices of this machine if torch
/// was built for them.
std::vector<std::string> present_devices();

/// For models that come from a file: cuda:0 where torch can use it (of torchrun's processes on a machine each its own number), else the CPU, with a line in
/// the log where the driver does not answer.
c10::Device preferred_device();

/// Waits until the device has done all queued work; returns at once on the CPU.
void wait_for(c10::Device device);

}  // namespace adascale
