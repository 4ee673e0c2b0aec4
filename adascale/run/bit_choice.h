#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/run/request.h"
#include "adascale/sim/fit_grid.h"
#include "adascale/sim/inputs.h"

namespace adascale {

/// The bits of each layer, chosen for a target.
struct BitChoice {
  /// Layers with one choice: those that read the same value and may have the same widths.
  struct Part {
    std::vector<std::string> layers;
    int width = 0;          ///< param_bw; of a fixed one the bits of its grid
    bool is_fixed = false;  ///< by the user's options for them, or by what the files hold
    double loss = 0;        ///< the output's, by these layers alone rounded to nearest; 0 where it is fixed
  };
  /// One width for all that may choose.
  struct Uniform {
    int width = 0;
    int64_t bytes = 0;
    double loss = 0;
  };

  std::vector<Part> parts;         ///< in execution order
  int64_t weights = 0, bytes = 0;  ///< of the quantized layers, with scales and minima
  int64_t budget = 0;              ///< bytes of them
  double loss = 0;                 ///< the sum of the parts'
  std::vector<Uniform> uniform;    ///< the largest that fits, and the next one
  bool is_divergence = false;      ///< losses are KL in nats; else relative squared errors
  bool is_provisional = false;     ///< of a dry run: as if all weights were equally sensitive

  double mean_bits() const { return bits_of(bytes); }
  double bits_of(int64_t of_bytes) const {
    return 8.0 * static_cast<double>(of_bytes) / static_cast<double>(weights);
  }
  /// The choice as settings, for plan_model.
  LayerConfig settings() const;
};

/// Chooses among `widths` for the request's target: the least sum of the losses that output_losses() estimates
/// (tune/sensitivity.h), in the bytes that the target leaves. Takes the same program, options and batches as the run.
/// Throws (user) for a target that is out of reach, naming what can be reached, and where the output has no gradient.
BitChoice choose_bits(const Program& program, const QuantizeRequest& request, const FitGrid& fit_grid,
                      const std::vector<int>& widths, const std::vector<Inputs>& batches);

}  // namespace adascale
