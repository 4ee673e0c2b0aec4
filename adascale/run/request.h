#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/run/data_request.h"
#include "adascale/sim/options.h"
#include "adascale/tune/adascale.h"

namespace adascale {

/// Of `param_bw`, when nothing is given.
inline constexpr int64_t kDefaultParamBits = 4;

/// A run of `quantize`, as its caller asks for it: C++, the command and Python fill in the same struct. The
/// defaults are 4 bits per channel, activations and the layers outside blocks in full precision.
struct QuantizeRequest {
  QuantizeRequest();
  std::string model;  ///< what a door opens: a path or a name
  DataRequest data;
  SimOptions sim;  ///< but for quant_scheme (see scheme), and for what visit_sim_options leaves out
  std::string scheme;
  int64_t outside_bw = kOffBits;
  double target_bits = 0;             ///< the mean that layers' bits are chosen for; 0: param_bw for all
  std::string target_size;            ///< likewise the size of the model: "90MB"; empty: none
  std::vector<double> target_widths;  ///< to choose from; empty: all that the formats hold
  AdaScaleOptions training;           ///< without epochs and iterations: the recipe's own budget
  std::vector<std::string> formats;   ///< names of export_formats(), some as NAME:GRID; empty: the door's
  std::string encoding_version = ExportOptions().encoding_version;
  std::string output_dir;
  bool dry_run = false;  ///< the plan alone: weights are known by shape
};

/// Options beside those of the sim and of training: one line each, for flags and Python keywords.
template <class Visitor, class Request>
void visit_layer_options(Visitor&& visit, Request& request) {
  visit("scheme", request.scheme, "how ranges are found; `adascale list schemes`", OptionRule{});
  visit("outside_bw", request.outside_bw,
        "bits of integer weights in the layers outside blocks (embeddings, heads, stems), rounded to nearest "
        "unless train_outside trains them; 32: full precision, or what a target chooses for those trained",
        OptionRule{.min = 2, .max = 16, .off = kOffBits});
}

/// Bits that differ by layer, likewise.
template <class Visitor, class Request>
void visit_target_options(Visitor&& visit, Request& request) {
  visit("target_bits", request.target_bits,
        "mean bits of a quantized weight, scales and minima counted, instead of param_bw: each layer gets "
        "the bits that the model's output asks for, by the calibration data; layers outside the blocks too "
        "with train_outside, unless outside_bw gives them bits; 0: param_bw for all",
        OptionRule{.min = 1, .max = 16, .off = 0});
  visit("target_size", request.target_size,
        "the same for the size of the model with packed codes, as the plan states it: 90MB, 1.5GiB",
        OptionRule{});
  visit("target_widths", request.target_widths,
        "bits that a layer may get for target_bits or target_size; without it 2, 3, 4, 5, 6 and 8, as far as "
        "the formats hold them",
        OptionRule{.min = 2, .max = 8});
}

/// How files are written, likewise.
template <class Visitor, class Request>
void visit_export_options(Visitor&& visit, Request& request) {
  visit("encoding_version", request.encoding_version, "of AIMET's encodings, for the format of that name",
        OptionRule{.choices = encoding_versions()});
}

/// All options of a request.
template <class Visitor, class Request>
void visit_request_options(Visitor&& visit, Request& request) {
  visit_sim_options(visit, request.sim);
  visit_adascale_options(visit, request.training);
  visit_layer_options(visit, request);
  visit_target_options(visit, request);
  visit_export_options(visit, request);
  visit_data_options(visit, request.data.options);
}

/// Objects to what is wrong with the options alone: ranges, names, devices, some that exclude each other.
void check_options(const QuantizeRequest& request, Objections& objections);

}  // namespace adascale
