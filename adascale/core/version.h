#pragma once

namespace adascale {

/// The release that files name as their producer; the same as the build's project
/// version (a test compares them).
inline constexpr const char* kVersion = "0.1.0";

}  // namespace adascale
