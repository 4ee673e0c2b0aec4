#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/sim/quantsim.h"

namespace adascale {

/// One module of a model, simulated by a program of its own.
struct SimPart {
  QuantizationSimModel& sim;
  std::string path;  ///< of the module in the model; empty: the program is the whole model
};

/// A parameter or buffer of a live model under one of its names.
struct PlacedTensor {
  std::string name;
  at::Tensor tensor;
  bool is_parameter;
  uint64_t owner;   ///< the same number for all names of one module
  int64_t version;  ///< as version_of() gave it before the model ran
};

/// A model without a program of the whole: some of its modules are parts, all else runs live, in
/// full precision.
struct PartedModel {
  /// A module that is no part, and why.
  struct LeftOut {
    std::string path, reason;
  };

  std::vector<SimPart> parts;         ///< in the order of their calls; their modules do not nest
  std::string refusal;                ///< why there is no program of the whole
  std::vector<LeftOut> not_captured;  ///< modules that should be parts
  std::vector<std::string> outside;   ///< modules with weights outside every part
  std::vector<PlacedTensor> watched;  ///< tensors outside that the model does not write itself
};

/// `places`: every tensor of the model under every name, in the order of its modules. Throws (user) if a
/// quantized weight of one part is also another part's or one outside: each part is quantized alone,
/// which would untie them. Ties within a part stay tied, and a module of a part that has another name
/// outside shows the part's result.
PartedModel make_parted_model(std::vector<SimPart> parts, std::string refusal,
                              std::vector<PartedModel::LeftOut> not_captured,
                              const std::vector<PlacedTensor>& places);

/// Throws (user) unless a model in parts, which runs on `device`, is asked to run there.
void check_device_of_parts(c10::Device asked, c10::Device device);

/// Throws (user) if a tensor outside the parts was edited since the model was made.
void check_outside_unchanged(const PartedModel& model);

/// compute_encodings of all parts.
void begin_calibration(const PartedModel& model);
/// Throws (user) if no data reached a part that has activations. In a run that has trained, such a part may be:
/// `may_miss` leaves its activations in full precision, and the log names them.
void end_calibration(const PartedModel& model, bool may_miss = false);
void abort_calibration(const PartedModel& model);

/// Throws (user) for patterns of a layer_config that match nothing in any part.
void check_patterns(const PartedModel& model, const std::vector<std::string>& patterns);

/// How the outputs of a module's program differ from those of its live module: "off by 0.2 of 3.1". Empty
/// when they are equal up to rounding.
std::string difference_to_live(Program program, const Inputs& inputs, const Outputs& live);
/// How the outputs of a part's program, at full precision, differ from those of its live module:
/// "off by 0.2 of 3.1". Empty when they are equal up to rounding.
std::string difference_to_live(const QuantizationSimModel& sim, const Inputs& inputs, const Outputs& live);

/// The parts with their quantizers and the modules in full precision, as print(sim) shows them.
std::string describe_parts(const PartedModel& model);

}  // namespace adascale
