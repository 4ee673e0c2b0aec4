#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/adascale.h"
#include "adascale/tune/blocks.h"

namespace adascale {

/// The command line's settings for quantizing; the defaults are those of Python's
/// `quantize()`, per channel.
struct QuantizeFlags {
  QuantizeFlags();
  SimOptions sim;
  AdaScaleOptions training;
  std::string scheme;
  std::string layer_config;
  int64_t outside_bw = kOffBits;
  std::string encoding_version = ExportOptions().encoding_version;
};

/// Options beside those of the sim and of training: one line each, for flags and Python keywords.
template <class Visitor, class Flags>
void visit_setup_options(Visitor&& visit, Flags& flags) {
  visit("scheme", flags.scheme, "how ranges are found; `adascale list schemes`", OptionRule{});
  visit(
      "outside_bw", flags.outside_bw,
      "bits of integer weights in the layers outside blocks (embeddings, heads, stems), rounded to nearest; "
      "32: full precision",
      OptionRule{.min = 2, .max = 16, .off = kOffBits});
}

/// How files are written, likewise.
template <class Visitor, class Flags>
void visit_export_options(Visitor&& visit, Flags& flags) {
  visit("encoding_version", flags.encoding_version, "of AIMET's encodings, for the format of that name",
        OptionRule{.choices = encoding_versions()});
}

/// Checks ranges, names and files before a model is opened. Fills in the settings that follow
/// from them: the scheme, the layer settings and, when neither epochs nor iterations are given,
/// the recipe's own budget.
void check_flags(QuantizeFlags& flags);

/// A model ready to be trained.
struct Setup {
  std::vector<Block> blocks;
  std::vector<Block> trained;  ///< and, if requested, the layers outside as blocks
  QuantizationSimModel sim;
  std::vector<std::string> outside;  ///< names of the layers outside every block
};

/// Finds the blocks (there may be none), sets the layers outside them to `outside_bw` bits (the
/// user's layer settings come later and win) and builds the sim.
Setup set_up(Program program, const QuantizeFlags& flags);

}  // namespace adascale
