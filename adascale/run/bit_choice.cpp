#include "adascale/run/bit_choice.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/spelling.h"
#include "adascale/run/batches.h"
#include "adascale/run/bit_target.h"
#include "adascale/run/knapsack.h"
#include "adascale/run/model_plan.h"
#include "adascale/run/text.h"
#include "adascale/run/weight_size.h"
#include "adascale/sim/families.h"
#include "adascale/sim/weight_options.h"
#include "adascale/tune/output_loss.h"
#include "adascale/tune/recipe.h"
#include "adascale/tune/sensitivity.h"
#include "adascale/tune/training_plan.h"

namespace adascale {
namespace {

/// Layers with one choice, by their places in the list of layers.
struct Choice {
  std::vector<size_t> layers;
  std::vector<int> widths;
  std::vector<KnapsackOption> options;  ///< by width: bytes and loss

  bool is_fixed() const { return widths.size() == 1; }
};

class BitChooser {
 public:
  BitChooser(const Program& program, const QuantizeRequest& request, const FitGrid& fit_grid,
             const std::vector<int>& widths)
      : program_(program),
        request_(request),
        fit_grid_(fit_grid),
        widths_(widths),
        blocks_(blocks_to_train(program, request.training)),
        layers_(weight_options(program, options_of_model(program, blocks_, request, fit_grid), widths)) {
    find_choices();
    for (const WeightOptions& layer : layers_) found_.weights += weight(layer).numel();
    found_.is_divergence = compared_output(program).tokens.has_value();
  }

  BitChoice choose(const std::vector<Inputs>& batches) {
    lose_evenly();
    check_target();
    settle();
    found_.is_provisional = request_.dry_run;
    if (request_.dry_run) return found_;
    lose_as_estimated(batches);
    settle();
    return found_;
  }

 private:
  const at::Tensor& weight(const WeightOptions& layer) const {
    return program_.state.at(layer.layer.parameters.front());
  }

  /// Layers of one family whose options are the same choose together.
  void find_choices() {
    std::vector<const Layer*> layers;
    for (const WeightOptions& layer : layers_) layers.push_back(&layer.layer);
    const std::vector<size_t> families = families_of(program_, layers);
    std::map<std::pair<size_t, std::vector<int>>, size_t> place_of;
    for (size_t i = 0; i < layers_.size(); ++i) {
      std::vector<int> widths;
      const std::vector<WeightOptions::Option>& options = layers_[i].options;
      // A fixed layer has the bits of its grid, not the first width that was asked for.
      for (const WeightOptions::Option& option : options)
        widths.push_back(options.size() > 1 ? option.width : option.grid.bits);
      const auto [place, is_new] = place_of.try_emplace({families[i], widths}, choices_.size());
      if (is_new) choices_.push_back({{}, widths, std::vector<KnapsackOption>(widths.size())});
      Choice& choice = choices_[place->second];
      choice.layers.push_back(i);
      for (size_t option = 0; option < widths.size(); ++option)
        choice.options[option].cost += packed_bytes(weight(layers_[i]).sizes(), options[option].grid);
    }
  }

  /// Bytes if each choice takes its cheapest option, or its dearest.
  int64_t extreme(bool least) const {
    int64_t bytes = 0;
    for (const Choice& choice : choices_) {
      const auto [low, high] = std::minmax_element(
          choice.options.begin(), choice.options.end(),
          [](const KnapsackOption& a, const KnapsackOption& b) { return a.cost < b.cost; });
      bytes += (least ? low : high)->cost;
    }
    return bytes;
  }

  /// Bytes of all that is not quantized.
  int64_t rest() const {
    int64_t layers = 0;
    for (const WeightOptions& layer : layers_) layers += static_cast<int64_t>(weight(layer).nbytes());
    return state_bytes(program_) - layers;
  }

  /// As the target is measured: "3.03 bits", "61.2 MB".
  std::string measured(int64_t bytes, int64_t rest) const {
    if (!request_.target_size.empty()) return format_bytes(bytes + rest);
    return fmt::format("{:.2f} bits", found_.bits_of(bytes));
  }

  void check_target() {
    const bool may_choose =
        std::any_of(choices_.begin(), choices_.end(), [](const Choice& c) { return !c.is_fixed(); });
    ADA_CHECK(may_choose,
              "{}: each of the {} quantized layers has one width alone, nothing can be chosen; leave it out, "
              "or give fewer layers their bits ({})",
              asked_target(request_), layers_.size(), option("layer_config"));
    const int64_t rest_bytes = rest(), least = extreme(true), most = extreme(false);
    found_.budget = budget_of(request_, found_.weights, rest_bytes);
    ADA_CHECK(found_.budget >= least && found_.budget <= most,
              "{}: out of reach, expected {} to {} with widths of {} to {}{}{}; give a target in between, or "
              "another {}",
              asked_target(request_), measured(least, rest_bytes), measured(most, rest_bytes),
              widths_.front(), widths_.back(),
              request_.target_size.empty() ? "" : " and what is not quantized", beside_fixed(),
              option("group_size"));
  }

  /// Of the layers that count, and for which nothing is chosen.
  std::string beside_fixed() const {
    size_t layers = 0;
    for (const Choice& choice : choices_)
      if (choice.is_fixed()) layers += choice.layers.size();
    if (layers == 0) return "";
    return fmt::format(" beside {} {} whose bits are fixed ({}, {})", layers,
                       layers == 1 ? "layer" : "layers", option("outside_bw"), option("layer_config"));
  }

  /// As if all weights were equally sensitive: a quarter of the loss for each bit more.
  void lose_evenly() {
    for (Choice& choice : choices_)
      for (size_t option = 0; option < choice.options.size(); ++option) {
        choice.options[option].loss = 0;
        for (const size_t layer : choice.layers)
          choice.options[option].loss += static_cast<double>(weight(layers_[layer]).numel()) *
                                         std::pow(4.0, -layers_[layer].options[option].grid.bits);
      }
  }

  void lose_as_estimated(const std::vector<Inputs>& batches) {
    const ModelPlan plan = plan_model(program_, request_, /*is_shared=*/true, fit_grid_, found_.settings());
    std::map<std::string, int32_t> index_of;
    for (int32_t i = 0; i < static_cast<int32_t>(plan.sim.weights().size()); ++i)
      index_of[plan.sim.weights()[i].layer.name] = i;
    std::vector<WeightGrids> asked;
    for (const WeightOptions& layer : layers_) {
      if (layer.options.size() == 1) continue;
      asked.push_back({index_of.at(layer.layer.name), {}});
      for (const WeightOptions::Option& option : layer.options) asked.back().grids.push_back(option.grid);
    }
    add_losses(output_losses(plan.sim, blocks_, asked, single_samples(batches),
                             {recipe_named(request_.training.recipe).start, request_.training.seed}));
  }

  /// `losses`: of the layers that may choose, in order.
  void add_losses(const std::vector<std::vector<double>>& losses) {
    std::map<size_t, const std::vector<double>*> of_layer;
    auto next = losses.begin();
    for (size_t i = 0; i < layers_.size(); ++i)
      if (layers_[i].options.size() > 1) of_layer[i] = &*next++;
    for (Choice& choice : choices_)
      for (size_t option = 0; option < choice.options.size(); ++option) {
        choice.options[option].loss = 0;
        if (choice.is_fixed()) continue;
        for (const size_t layer : choice.layers)
          choice.options[option].loss += of_layer.at(layer)->at(option);
      }
  }

  std::vector<Inputs> single_samples(const std::vector<Inputs>& batches) const {
    std::vector<Inputs> samples;
    for (const Inputs& batch : batches)
      for (Inputs& sample : cut_batch(program_, batch, 1)) samples.push_back(std::move(sample));
    return samples;
  }

  /// Fills in what is chosen by the present losses.
  void settle() {
    std::vector<std::vector<KnapsackOption>> options;
    for (const Choice& choice : choices_) options.push_back(choice.options);
    const std::vector<size_t> chosen = fill_knapsack(options, found_.budget);
    found_.parts.clear();
    found_.bytes = 0, found_.loss = 0;
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Choice& choice = choices_[i];
      const KnapsackOption& option = choice.options[chosen[i]];
      found_.parts.push_back({{}, choice.widths[chosen[i]], choice.is_fixed(), option.loss});
      for (const size_t layer : choice.layers)
        found_.parts.back().layers.push_back(layers_[layer].layer.name);
      found_.bytes += option.cost;
      found_.loss += option.loss;
    }
    find_uniform();
  }

  void find_uniform() {
    found_.uniform.clear();
    for (const int width : widths_) {
      const BitChoice::Uniform one = uniform(width);
      if (one.bytes <= found_.budget) found_.uniform.clear();  // a larger one that fits
      found_.uniform.push_back(one);
      if (one.bytes > found_.budget) return;
    }
  }

  /// A layer without that width takes its next narrower one, or its narrowest.
  BitChoice::Uniform uniform(int width) const {
    BitChoice::Uniform found{width};
    for (const Choice& choice : choices_) {
      const auto above = std::upper_bound(choice.widths.begin(), choice.widths.end(), width);
      const size_t option = above == choice.widths.begin() ? 0 : above - choice.widths.begin() - 1;
      found.bytes += choice.options[option].cost;
      found.loss += choice.options[option].loss;
    }
    return found;
  }

  const Program& program_;
  const QuantizeRequest& request_;
  const FitGrid& fit_grid_;
  const std::vector<int>& widths_;
  std::vector<Block> blocks_;
  std::vector<WeightOptions> layers_;
  std::vector<Choice> choices_;
  BitChoice found_;
};

}  // namespace

LayerConfig BitChoice::settings() const {
  LayerConfig settings;
  for (const Part& part : parts)
    for (const std::string& layer : part.layers)
      if (!part.is_fixed) settings.push_back({glob_of(layer), {.param_bw = part.width}});
  return settings;
}

BitChoice choose_bits(const Program& program, const QuantizeRequest& request, const FitGrid& fit_grid,
                      const std::vector<int>& widths, const std::vector<Inputs>& batches) {
  return BitChooser(program, request, fit_grid, widths).choose(batches);
}

}  // namespace adascale
