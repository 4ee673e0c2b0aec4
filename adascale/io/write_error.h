#pragma once
#include <string>

namespace adascale {

/// "out/model.safetensors: cannot be written: No space left on device; make room there and run again".
/// `error`: the errno of what failed. It names a cure where the reason has one.
std::string write_error(const std::string& path, int error);

}  // namespace adascale
