#pragma once
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/sim/quantsim.h"

namespace adascale {

/// The files a run will write.
struct OutputFiles {
  std::string folder, stem;
  std::vector<std::string> formats;
  ExportOptions options = {};  ///< with the formats that only this model has
  std::vector<std::string> paths() const;
};

/// Checks, before any work: known formats, a writable folder, no file of the user's (`sources`)
/// overwritten. Leaves the folder unchanged. Throws (user).
void check_output(const OutputFiles& files, const std::vector<std::string>& sources);
/// Throws (user) with all that the formats cannot hold of this model.
void check_formats(const OutputFiles& files, const QuantizationSimModel& sim);
/// The formats' notes about the files, after their check.
std::vector<std::string> format_notes(const OutputFiles& files, const QuantizationSimModel& sim);

}  // namespace adascale
