#pragma once
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/io/safetensors.h"
#include "adascale/sim/parts.h"

namespace adascale {

/// Writes a model in parts, all formats or none; returns the paths. Only files that need no program of
/// the whole can be written: safetensors and `PREFIX_torch.encodings`.
///
/// `state`: the live model's parameters and buffers under all their names, folded weights in place.
/// Errors: those of export_model, and formats that hold a whole program.
std::vector<std::string> export_parts(const PartedModel& model, const std::vector<NamedTensor>& state,
                                      const std::string& folder, const std::string& prefix,
                                      const std::vector<std::string>& formats,
                                      const ExportOptions& options = {});

}  // namespace adascale
