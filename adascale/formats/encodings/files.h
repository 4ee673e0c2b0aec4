#pragma once
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "adascale/formats/encodings/record.h"

namespace adascale {

/// A simulation whose encodings are in a file; `path` precedes names of its own, of operations
/// outside modules. A whole model has none.
struct EncodedPart {
  const QuantizationSimModel& sim;
  std::string path = {};
};

/// The content of `PREFIX_torch.encodings`, by module name. AIMET's files of 0.6.1 and 1.0.0 share
/// this layout and later versions lack it; they get that of 1.0.0. `excluded`: the layers without a
/// quantizer.
void write_encodings_by_module(std::ostream& out, const std::vector<EncodedPart>& parts,
                               const std::vector<std::string>& excluded, const std::string& version);
/// The layers that a simulation leaves in full precision.
std::vector<std::string> excluded_layers(const QuantizationSimModel& sim);
/// The content of `PREFIX.encodings`: weights by parameter name, activations by the name of their
/// value or model input, as in torch.onnx.
void write_encodings_by_tensor(std::ostream& out, const QuantizationSimModel& sim,
                               const std::string& version);

/// Each throws (user) where our reader finds other entries in the file than those functions write: other scales,
/// offsets, bits or names. The settings behind the entries are not compared.
void expect_encodings_by_module(const std::string& path, const std::vector<EncodedPart>& parts,
                                const std::string& version);
void expect_encodings_by_tensor(const std::string& path, const QuantizationSimModel& sim,
                                const std::string& version);

// Names and records of these files.

/// A module's name in the whole model: an operation outside modules ("add_3") has one only in its part.
std::string name_in_model(const std::string& module, const std::string& path);
/// The version that a file by module name says.
std::string version_by_module(const std::string& version);
/// The activations of a file by tensor name.
std::vector<EncodingRecord> activation_records(const QuantizationSimModel& sim);

// Parts common to both files.

/// The opening brace, the producer and the version.
void write_producer(std::ostream& out, const std::string& version);
/// `excluded_layers` and `quantizer_args`.
void write_settings(std::ostream& out, const std::vector<EncodedPart>& parts,
                    const std::vector<std::string>& excluded);
/// `param_encodings` as an object: name to a list of entries.
void write_weights_by_name(std::ostream& out, const std::vector<EncodedPart>& parts);
/// Every quantized weight, tied ones under each of their names.
void visit_weights(const QuantizationSimModel& sim, const std::function<void(const EncodingRecord&)>& visit);

/// A JSON list or object whose members are written one by one: a model in groups of 64 has millions.
class Members {
 public:
  Members(std::ostream& out, char open, char close) : out_(out), close_(close) { out_ << open; }
  std::ostream& next() { return out_ << (std::exchange(is_first_, false) ? "\n" : ",\n"); }
  void end() { out_ << close_; }

 private:
  std::ostream& out_;
  char close_;
  bool is_first_ = true;
};

}  // namespace adascale
