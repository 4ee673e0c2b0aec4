#pragma once

#include <c10/util/ArrayRef.h>

#include <cstdint>
#include <string_view>

namespace fake_device {

void count_launch(std::string_view what);
void count_sync(std::string_view what);
void count_copy_to_device(c10::IntArrayRef sizes);
void count_copy_to_host(c10::IntArrayRef sizes);

}  // namespace fake_device
