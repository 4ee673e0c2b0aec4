#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/run/data_request.h"
#include "adascale/sim/options.h"
#include "adascale/tune/adascale.h"

namespace adascale {

/// A run of `quantize`, as its caller asks for it: C++, the command and Python fill in the same struct. The
/// defaults are 4 bits per channel, activations and the layers outside blocks in full precision.
struct QuantizeRequest {
  QuantizeRequest();
  std::string model;  ///< what a door opens: a path or a name
  DataRequest data;
  SimOptions sim;  ///< but for quant_scheme (see scheme), and for what visit_sim_options leaves out
  std::string scheme;
  int64_t outside_bw = kOffBits;
  AdaScaleOptions training;          ///< without epochs and iterations: the recipe's own budget
  std::vector<std::string> formats;  ///< names of export_formats(), some as NAME:GRID; empty: the door's
  std::string encoding_version = ExportOptions().encoding_version;
  std::string output_dir;
  bool dry_run = false;  ///< the plan alone: weights are known by shape
};

/// Options beside those of the sim and of training: one line each, for flags and Python keywords.
template <class Visitor, class Request>
void visit_layer_options(Visitor&& visit, Request& request) {
  visit("scheme", request.scheme, "how ranges are found; `adascale list schemes`", OptionRule{});
  visit(
      "outside_bw", request.outside_bw,
      "bits of integer weights in the layers outside blocks (embeddings, heads, stems), rounded to nearest; "
      "32: full precision",
      OptionRule{.min = 2, .max = 16, .off = kOffBits});
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
  visit_export_options(visit, request);
  visit_data_options(visit, request.data.options);
}

/// Objects to what is wrong with the options alone: ranges, names, devices, some that exclude each other.
void check_options(const QuantizeRequest& request, Objections& objections);

}  // namespace adascale
