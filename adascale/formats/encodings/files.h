#pragma once
#include <functional>
#include <ostream>
#include <string>
#include <utility>

#include "adascale/formats/encodings/record.h"

namespace adascale {

/// The content of `PREFIX_torch.encodings`, by module name: one layout, which AIMET's files of 0.6.1 and
/// 1.0.0 share and later versions lack; they get that of 1.0.0.
void write_encodings_by_module(std::ostream& out, const QuantizationSimModel& sim,
                               const std::string& version);
/// The content of `PREFIX.encodings`: weights by their parameter's name, activations by their value's or the
/// model input's, as torch.onnx calls them.
void write_encodings_by_tensor(std::ostream& out, const QuantizationSimModel& sim,
                               const std::string& version);

// What the two have in common.

/// The opening brace, who wrote the file and in which version.
void write_producer(std::ostream& out, const std::string& version);
/// `excluded_layers` and `quantizer_args`.
void write_settings(std::ostream& out, const QuantizationSimModel& sim);
/// `param_encodings` as an object: name to a list of entries.
void write_weights_by_name(std::ostream& out, const QuantizationSimModel& sim);
/// Every quantized weight, tied ones under each of their names.
void visit_weights(const QuantizationSimModel& sim, const std::function<void(const EncodingRecord&)>& visit);

/// A JSON list or object whose members are written as they come: a model in groups of 64 has millions.
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
