#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adascale/core/options.h"
#include "adascale/quant/forms/form.h"
#include "adascale/sim/fit_grid.h"

namespace adascale {

/// How ranges are found from values; the names are AIMET's. The `training_range_learning`
/// schemes start from the same range: post-training quantization has no later training in
/// which they would differ.
enum class QuantScheme {
  post_training_tf,           ///< min-max
  post_training_tf_enhanced,  ///< SQNR search
  post_training_percentile,   ///< 99.99 %
  training_range_learning_with_tf_init,
  training_range_learning_with_tf_enhanced_init,
};

/// "post_training_tf" and so on; the inverse throws (user) listing the names. `spelled`: the option in messages.
std::string to_string(QuantScheme scheme);
QuantScheme quant_scheme_from(const std::string& name, const std::string& spelled = "quant_scheme");

/// Values of SimOptions::scale_sign.
inline constexpr const char *kAutoSign = "auto", *kPositive = "positive", *kAnySign = "any";

/// The number of bits that means "left in full precision".
inline constexpr int64_t kOffBits = 32;

/// The changes that one pattern of a layer_config makes to the layers it matches;
/// unset fields change nothing.
struct LayerSettings {
  std::optional<int64_t> param_bw;         ///< 2..16, or 32: excluded
  std::optional<std::string> grid;         ///< a name of names_of_grids()
  std::optional<int64_t> group_size;       ///< 0: per channel
  std::optional<int64_t> decompressed_bw;  ///< 0: no LPBQ
  std::optional<bool> symmetric;
  std::optional<bool> per_channel;   ///< false: one scale for the whole weight
  std::optional<bool> trained;       ///< false: round-to-nearest, whatever the recipe
  std::optional<int64_t> output_bw;  ///< 4..16, or 32: off, for the layer's output
  std::optional<bool> output_symmetric;
  std::optional<int64_t> input_bw;  ///< likewise for the layer's inputs, for all their readers
  std::optional<bool> input_symmetric;
};

/// Glob over layer names, or a layer kind ("Embedding"), to settings; later entries win.
using LayerConfig = std::vector<std::pair<std::string, LayerSettings>>;

/// From JSON: {"encoder.*": {"param_bw": 8, "group_size": 32}}. Errors name the pattern and the key.
LayerConfig parse_layer_config(const std::string& json);
LayerConfig read_layer_config(const std::string& path);

/// How a model is quantized. Defaults are AIMET's.
struct SimOptions {
  QuantScheme quant_scheme = QuantScheme::post_training_tf;
  int64_t default_param_bw = 8;
  int64_t default_output_bw = 8;
  std::string grid = "int";  ///< how weights are stored: a name of names_of_grids()
  int64_t group_size = 0;
  /// LPBQ's: param_bw and the bits of its integer group scales; 0: plain scales.
  int64_t decompressed_bw = 0;
  bool symmetric = true;
  /// Of symmetric integers: kAnySign: a scale may be negative (Grid::signed_scale). kAutoSign: positive ones here; a run
  /// takes any sign where its files hold it.
  std::string scale_sign = kAutoSign;
  std::string config_file;  ///< JSON in AIMET's quantsim config format; empty: the built-in default
  LayerConfig layer_config;
  FitGrid fit_grid;  ///< of the files to write (formats/format.h, fit_grids); empty: grids as asked for
  bool fold_batch_norms = false;  ///< make them part of the layers they follow, before quantizers are placed
  bool is_part = false;         ///< of a model captured in parts: layer_config may name layers of other parts
  std::string device = "auto";  ///< of the computation: auto (where the parameters are), or a torch device
  bool in_place = false;        ///< fold into the program's own tensors instead of new ones
  /// Fold into no tensor: a folded weight is dequantized from its codes each time it is read.
  bool on_demand = false;
  /// False: weights are known by shape and dtype, there are no ranges, and nothing can be quantized.
  bool reads_weights = true;
};

/// One line per option: flag, JSON key, Python keyword, help and limits.
template <class Visitor, class Options>
void visit_sim_options(Visitor&& visit, Options& options) {
  visit("param_bw", options.default_param_bw, "weight bits, 2 to 16 (AdaScale trains 2 to 8); 32: off",
        OptionRule{.min = 2, .max = 16, .off = kOffBits, .alias = "default_param_bw"});
  visit("output_bw", options.default_output_bw, "activation bits, 4 to 16; 32: off",
        OptionRule{.min = 4, .max = 16, .off = kOffBits, .alias = "default_output_bw"});
  visit("grid", options.grid, "how weights are stored; `adascale list grids`",
        OptionRule{.choices = names_of_grids()});
  visit("group_size", options.group_size, "weights of one row that share a scale; 0: one scale per channel",
        OptionRule{.min = 0});
  visit("decompressed_bw", options.decompressed_bw,
        "LPBQ: a group's scale is an integer 1 to 2^(decompressed_bw - param_bw) "
        "times one float per channel (8 for QNN); 0: a float itself",
        OptionRule{.min = 0, .max = 16});
  visit("symmetric", options.symmetric, "weight grid around zero", OptionRule{});
  visit("scale_sign", options.scale_sign,
        "of symmetric integers; any: a scale may be negative, so that the weights' larger end gets the extra "
        "code; "
        "auto: any where a run's files hold it, else positive",
        OptionRule{.choices = {kAutoSign, kPositive, kAnySign}});
  visit("fold_batch_norms", options.fold_batch_norms,
        "make batch norms part of the convolutions and linears they follow, as deployed models run",
        OptionRule{});
  visit("device", options.device,
        "where it is computed: cpu, cuda, cuda:1 or any other device of this torch; "
        "auto: where the model's parameters are; "
        "quantize() and the command take cuda, if there is one, for a model from a file",
        OptionRule{});
  visit("config", options.config_file, "where quantizers sit: JSON in AIMET's quantsim config format",
        OptionRule{.alias = "config_file"});
}

}  // namespace adascale
