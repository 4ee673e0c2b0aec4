#include "adascale/sim/weights.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/glob.h"
#include "adascale/core/passes.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/finite.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/sim/siblings.h"

namespace adascale {
namespace {

/// All inputs to the decision on one layer's grid.
struct Decision {
  std::string grid;
  int64_t bits;
  bool symmetric, per_channel;
  int64_t group_size, decompressed_bw;
  bool trained = true;
  bool says_asymmetric = false, says_per_tensor = false;  ///< by the user, not by a default
};

bool matches(const std::string& pattern, const Layer& layer) {
  const auto names_it = [&](const std::string& name) { return glob_match(pattern, name); };
  return std::find(layer.kinds.begin(), layer.kinds.end(), pattern) != layer.kinds.end() ||
         names_it(layer.name) || std::any_of(layer.aliases.begin(), layer.aliases.end(), names_it);
}

Decision decide(const Layer& layer, const WeightRule& rule, const SimOptions& options) {
  Decision decision{options.grid,
                    rule.quantized ? options.default_param_bw : kOffBits,
                    options.symmetric && rule.symmetric,
                    rule.per_channel && layer.kind->per_channel,
                    layer.kind->per_channel ? options.group_size : 0,
                    layer.kind->per_channel ? options.decompressed_bw : 0,
                    /*trained=*/true,
                    /*says_asymmetric=*/!options.symmetric};
  for (const auto& [pattern, settings] : options.layer_config) {
    if (!matches(pattern, layer)) continue;
    decision.grid = settings.grid.value_or(decision.grid);
    decision.bits = settings.param_bw.value_or(decision.bits);
    decision.symmetric = settings.symmetric.value_or(decision.symmetric);
    if (settings.symmetric) decision.says_asymmetric = !*settings.symmetric;
    if (settings.per_channel) decision.says_per_tensor = !*settings.per_channel;
    decision.per_channel = settings.per_channel.value_or(decision.per_channel);
    decision.group_size = settings.group_size.value_or(decision.group_size);
    decision.decompressed_bw = settings.decompressed_bw.value_or(decision.decompressed_bw);
    decision.trained = settings.trained.value_or(decision.trained);
  }
  return decision;
}

/// A form that fixes bits, groups and symmetry takes no others in silence.
void check_fixed(const std::string& name, const Decision& decision) {
  const auto fixed = grid_form_named(decision.grid)->fixed();
  if (!fixed) return;
  ADA_CHECK(decision.bits == fixed->bits, "{}: {}: got {}, but grid {} has {} bits; give {}, or {}", name,
            option("param_bw"), decision.bits, decision.grid, fixed->bits, fixed->bits,
            option("grid", "int"));
  ADA_CHECK(decision.group_size == 0 || decision.group_size == fixed->group_size,
            "{}: {}: got {}, but grid {} has groups of {}; leave it out, or give {}", name,
            option("group_size"), decision.group_size, decision.grid, fixed->group_size,
            option("grid", "int"));
  ADA_CHECK(!decision.says_asymmetric,
            "{}: {}: got false, but grid {} is around zero; leave it out, or give {}", name,
            option("symmetric"), decision.grid, option("grid", "int"));
  ADA_CHECK(!decision.says_per_tensor,
            "{}: per_channel: got false, but grid {} has groups of {}; leave it out, or give {}", name,
            decision.grid, fixed->group_size, option("grid", "int"));
  ADA_CHECK(decision.decompressed_bw == 0, "{}: {}: got {}, but grid {} has no integer scales; give 0, or {}",
            name, option("decompressed_bw"), decision.decompressed_bw, decision.grid, option("grid", "int"));
}

Grid grid_of(const Layer& layer, at::IntArrayRef sizes, const Decision& decision, bool any_sign) {
  const GridForm* form = grid_form_named(decision.grid);
  const auto fixed = form->fixed();
  Grid grid{.bits = static_cast<int>(decision.bits), .symmetric = decision.symmetric || fixed, .form = form};
  const int64_t group_size = fixed ? fixed->group_size : decision.group_size;
  if (decision.per_channel || group_size > 0) {
    grid.channel_axis = layer.axes.channel;
    grid.stack_axes = layer.axes.stack;
  }
  if (group_size > 0) {
    grid.group_axis = layer.axes.inputs.back();
    grid.group_size = group_size;
  }
  if (decision.decompressed_bw != 0) {
    ADA_CHECK(decision.decompressed_bw <= 16, "{}: {}: got {}, expected up to 16, or 0 (no LPBQ)", layer.name,
              option("decompressed_bw"), decision.decompressed_bw);
    ADA_CHECK(decision.decompressed_bw > decision.bits,
              "{}: {} {} leaves no bits for the scales of {}-bit groups; use {}, or 0 (no LPBQ)", layer.name,
              option("decompressed_bw"), decision.decompressed_bw, decision.bits, 2 * decision.bits);
    grid.form = lpbq_form();
    grid.block_scale_bits = static_cast<int>(decision.decompressed_bw - decision.bits);
  }
  grid.signed_scale = any_sign && grid.symmetric && grid.is_plain();
  // A longer group would be filled to its end: a depthwise convolution has one input.
  if (grid.per_group() && grid.is_plain())
    grid.group_size = std::min(grid.group_size, sizes[grid.group_axis]);
  return grid;
}

/// Of the formats, and where groups are not what was asked for.
std::string note_of(const FittedGrid& fitted, const Decision& decision, at::IntArrayRef sizes) {
  std::vector<std::string> notes;
  if (!fitted.note.empty()) notes.push_back(fitted.note);
  const Grid& grid = fitted.grid;
  if (const int64_t missing = missing_in_last_group(sizes, grid); missing > 0)
    notes.push_back(fmt::format("the last group of {} has {}", grid.group_size, grid.group_size - missing));
  if (grid.per_group() && decision.group_size > grid.group_size && grid.group_size == sizes[grid.group_axis])
    notes.push_back(fmt::format("a row of {} is one group, not of {}", grid.group_size, decision.group_size));
  return fmt::format("{}", fmt::join(notes, "; "));
}

bool has_quantizable_dtype(const Layer& layer, const at::Tensor& weight, Objections& objections) {
  const auto dtype = weight.scalar_type();
  if (dtype != at::kFloat && dtype != at::kBFloat16 && dtype != at::kHalf) {
    objections.add(
        "{}: weight has dtype {}, expected float32, bfloat16 or float16; convert the model, or exclude the "
        "layer ({})",
        layer.name, c10::toString(dtype), how_to_exclude());
    return false;
  }
  return true;
}

void check_patterns(const std::vector<Layer>& layers, const LayerConfig& config, Objections& objections) {
  for (const auto& [pattern, settings] : config) {
    const bool sets_weights = settings.param_bw || settings.grid || settings.group_size ||
                              settings.decompressed_bw || settings.symmetric || settings.per_channel ||
                              settings.trained;
    const auto hit = [&, &glob = pattern](const Layer& layer) { return matches(glob, layer); };
    if (sets_weights && std::none_of(layers.begin(), layers.end(), hit))
      objections.add("{}: pattern '{}' matches no layer; print(sim) or `adascale inspect` lists them",
                     option("layer_config"), pattern);
  }
}

template <class Work>
void objected(Objections& objections, Work&& work) {
  try {
    work();
  } catch (const Error& error) {  // boundary: one objection among others
    objections.add("{}", error.what());
  }
}

/// The only pass over the weights' numbers before training.
void find_ranges(const Program& program, const RangeScheme& scheme, std::vector<QuantizedWeight>& weights,
                 Objections& objections) {
  Pass pass("weight ranges", static_cast<int64_t>(weights.size()));
  for (QuantizedWeight& weight : weights) {
    const std::string& name = weight.layer.name;
    objected(objections, [&] {
      const at::Tensor w = program.state.at(weight.layer.parameters.front()).detach();
      ADA_CHECK(is_finite(w),
                "{}: the weight holds NaN or infinity; mend the model, or exclude the layer ({})", name,
                how_to_exclude());
      weight.range = scheme.weight_range(w, weight.grid);
      affine_of(weight.range, weight.grid, name);
    });
    pass.step();
  }
}

}  // namespace

WeightPlacement place_weight_quantizers(const Program& program, const std::vector<Layer>& layers,
                                        const SimConfig& config, const SimOptions& options,
                                        Objections& objections) {
  if (!options.is_part) check_patterns(layers, options.layer_config, objections);
  const RangeScheme& scheme = range_scheme(to_string(options.quant_scheme));
  WeightPlacement placement;
  for (const Layer& layer : layers) {
    const Decision decision = decide(layer, weight_rule(config, layer.kind->onnx_type), options);
    if (decision.bits == kOffBits) {
      placement.excluded.push_back(layer);
      continue;
    }
    const at::Tensor weight = program.state.at(layer.parameters.front()).detach();
    if (!has_quantizable_dtype(layer, weight, objections)) continue;
    objected(objections, [&] {
      check_fixed(layer.name, decision);
      const Grid asked = grid_of(layer, weight.sizes(), decision, options.scale_sign == kAnySign);
      const FittedGrid fitted = options.fit_grid ? options.fit_grid(layer, weight, asked) : FittedGrid{asked};
      check_grid(layer.name, fitted.grid, weight.sizes());
      placement.quantized.push_back({.layer = layer,
                                     .grid = fitted.grid,
                                     .may_train = decision.trained,
                                     .asked = asked,
                                     .note = note_of(fitted, decision, weight.sizes())});
    });
  }
  share_among_siblings(program, placement.quantized);
  if (options.reads_weights) find_ranges(program, scheme, placement.quantized, objections);
  return placement;
}

}  // namespace adascale
