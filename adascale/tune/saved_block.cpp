#include "adascale/tune/saved_block.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include "adascale/core/error.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/stored_scales.h"
#include "adascale/sim/json_reader.h"
#include "adascale/tune/whole_file.h"

namespace adascale {
namespace {

constexpr const char* kText = "block";

/// JSON has no infinities.
OrderedJson number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

/// The library would convert a float, which is undefined where it is too large.
int64_t integer(const OrderedJson& json) {
  if (!json.is_number_integer()) throw std::invalid_argument(json.dump() + " is no integer");
  return json.get<int64_t>();
}

std::vector<int64_t> integers(const OrderedJson& json) {
  std::vector<int64_t> all;
  for (const OrderedJson& one : json) all.push_back(integer(one));
  return all;
}

double number(const OrderedJson& json) {
  return json.is_string() ? std::stod(json.get<std::string>()) : json.get<double>();
}

OrderedJson number(const std::optional<double>& value) {
  return value ? number(*value) : OrderedJson(nullptr);
}

std::optional<double> optional_number(const OrderedJson& json) {
  return json.is_null() ? std::nullopt : std::optional(number(json));
}

OrderedJson to_json(const LayerReport& layer) {
  return {{"name", layer.name},
          {"grid", layer.grid},
          {"sqnr_rtn_db", number(layer.sqnr_rtn_db)},
          {"sqnr_db", number(layer.sqnr_db)},
          {"codes_moved", number(layer.codes_moved)},
          {"weights", {number(layer.weights.low), number(layer.weights.high), layer.weights.counts}},
          {"codes", {layer.codes.first, layer.codes.counts}}};
}

LayerReport layer_from(const OrderedJson& json) {
  return {.name = json.at("name"),
          .grid = json.at("grid"),
          .sqnr_rtn_db = number(json.at("sqnr_rtn_db")),
          .sqnr_db = number(json.at("sqnr_db")),
          .codes_moved = number(json.at("codes_moved")),
          .weights = {number(json.at("weights").at(0)), number(json.at("weights").at(1)),
                      integers(json.at("weights").at(2))},
          .codes = {integer(json.at("codes").at(0)), integers(json.at("codes").at(1))}};
}

OrderedJson to_json(const LossCurve& curve) {
  OrderedJson points = OrderedJson::array();
  for (const LossPoint& point : curve) points.push_back({point.iteration, number(point.loss)});
  return points;
}

LossCurve curve_from(const OrderedJson& json) {
  LossCurve curve;
  for (const OrderedJson& point : json) curve.push_back({integer(point.at(0)), number(point.at(1))});
  return curve;
}

OrderedJson to_json(const BlockReport& block) {
  OrderedJson layers = OrderedJson::array();
  for (const LayerReport& layer : block.layers) layers.push_back(to_json(layer));
  return {{"name", block.name},
          {"layers", layers},
          {"loss_before", number(block.loss_before)},
          {"loss_after", number(block.loss_after)},
          {"held_out_before", number(block.held_out_before)},
          {"held_out_after", number(block.held_out_after)},
          {"iterations", block.iterations},
          {"curve", to_json(block.curve)},
          {"seconds", number(block.seconds)},
          {"step_length", number(block.step_length)},
          {"kept", block.kept},
          {"diverged", block.diverged},
          {"note", block.note}};
}

BlockReport report_from(const OrderedJson& json) {
  BlockReport block{.name = json.at("name"),
                    .layers = {},
                    .loss_before = number(json.at("loss_before")),
                    .loss_after = number(json.at("loss_after")),
                    .held_out_before = optional_number(json.at("held_out_before")),
                    .held_out_after = optional_number(json.at("held_out_after")),
                    .iterations = integer(json.at("iterations")),
                    .curve = curve_from(json.at("curve")),
                    .seconds = number(json.at("seconds")),
                    .step_length = number(json.at("step_length")),
                    .kept = json.at("kept"),
                    .diverged = json.at("diverged"),
                    .note = json.at("note")};
  for (const OrderedJson& layer : json.at("layers")) block.layers.push_back(layer_from(layer));
  return block;
}

std::string text_of(const SavedBlock& block) {
  OrderedJson weights = OrderedJson::array();
  for (const Encoding& encoding : block.encodings)
    weights.push_back({{"name", encoding.name},
                       {"dtype", static_cast<int>(encoding.source_dtype)},
                       {"sqnr_db", number(encoding.sqnr_db)}});
  return OrderedJson{{"weights", weights},
                     {"trained", block.trained},
                     {"ran_in_training", block.ran_in_training},
                     {"report", to_json(block.report)}}
      .dump();
}

/// "3.scale": the tensors of the third weight. Parts of a form's numbers are "3.part.NAME".
void add_tensors(size_t index, const Encoding& encoding, std::vector<NamedTensor>& tensors) {
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    tensors.push_back({fmt::format("{}.{}", index, name), tensor.contiguous()});
  };
  add("codes", encoding.codes);
  add("scale", encoding.scale);
  add("offset", encoding.offset);
  if (encoding.minimum) add("minimum", *encoding.minimum);
  for (const auto& [name, part] : encoding.parts) add("part." + name, part);
}

using Tensors = std::map<std::string, at::Tensor>;

/// Scales and parts as a weight on that grid has them. Their values mean nothing.
Encoding pattern_of(const ExpectedWeight& weight) {
  const at::Tensor most = at::ones(scale_sizes(weight.sizes, weight.grid), at::toOpMathType(weight.dtype));
  return stored_scales(weight.name, affine_of({-most, most}, weight.grid, weight.name), weight.grid);
}

bool is_like(const at::Tensor& tensor, const at::Tensor& pattern) {
  const bool is_same_kind =
      tensor.sizes() == pattern.sizes() && tensor.scalar_type() == pattern.scalar_type();
  return is_same_kind && tensor.isfinite().all().item<bool>();
}

bool has_parts_like(const Encoding& encoding, const Encoding& pattern) {
  if (encoding.parts.size() != pattern.parts.size()) return false;
  return std::all_of(pattern.parts.begin(), pattern.parts.end(), [&](const auto& part) {
    const auto found = encoding.parts.find(part.first);
    return found != encoding.parts.end() && is_like(found->second, part.second);
  });
}

bool lies_within(const at::Tensor& integers, int64_t least, int64_t most) {
  return integers.ge(least).logical_and(integers.le(most)).all().item<bool>();
}

bool has_codes_of(const Encoding& encoding, const Grid& grid) {
  const at::ScalarType dtype = grid.form->to_codes(at::zeros({1}), grid).scalar_type();
  // Codes of a form that are no integers are bit patterns.
  const int64_t least = grid.form->has_integer_codes() ? grid.qmin() : 0;
  return encoding.codes.scalar_type() == dtype && lies_within(encoding.codes, least, least + grid.steps());
}

/// A digest is no proof of who wrote the file.
void check_encoding(const std::string& path, const Encoding& encoding, const ExpectedWeight& weight) {
  ADA_CHECK(encoding.name == weight.name && encoding.codes.sizes() == weight.sizes,
            "{}: has {} [{}], expected {} [{}]", path, encoding.name, fmt::join(encoding.codes.sizes(), ", "),
            weight.name, fmt::join(weight.sizes, ", "));
  const Encoding pattern = pattern_of(weight);
  ADA_CHECK(has_codes_of(encoding, weight.grid) && is_like(encoding.scale, pattern.scale) &&
                is_like(encoding.offset, pattern.offset) &&
                lies_within(encoding.offset, has_offset(pattern) ? -weight.grid.steps() : 0, 0) &&
                encoding.minimum.has_value() == pattern.minimum.has_value() &&
                (!pattern.minimum || is_like(*encoding.minimum, *pattern.minimum)) &&
                has_parts_like(encoding, pattern) && encoding.source_dtype == weight.dtype,
            "{}: {}: has codes, scales or offsets of another kind than its grid, {}", path, weight.name,
            to_string(weight.grid));
}

Encoding encoding_from(const std::string& path, size_t index, const OrderedJson& json,
                       const ExpectedWeight& weight, const Tensors& tensors) {
  const std::string own = fmt::format("{}.", index), part = own + "part.";
  Encoding encoding{.name = json.at("name"),
                    .grid = weight.grid,
                    .codes = tensors.at(own + "codes"),
                    .scale = tensors.at(own + "scale").clone(),
                    .offset = tensors.at(own + "offset").clone(),
                    .source_dtype = static_cast<c10::ScalarType>(integer(json.at("dtype"))),
                    .sqnr_db = number(json.at("sqnr_db"))};
  if (const auto minimum = tensors.find(own + "minimum"); minimum != tensors.end())
    encoding.minimum = minimum->second.clone();
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(part)) encoding.parts[name.substr(part.size())] = tensor.clone();
  check_encoding(path, encoding, weight);
  return encoding;
}

}  // namespace

ExpectedWeight expected_weight(const QuantizationSimModel& sim, int32_t index) {
  const QuantizedWeight& weight = sim.weights()[index];
  const std::string& name = weight.layer.parameters.front();
  const at::Tensor& source = sim.program().state.at(name);
  return {name, weight.grid, source.sizes().vec(), source.scalar_type()};
}

void write_block(const std::string& path, const SavedBlock& block) {
  std::vector<NamedTensor> tensors = {{kText, bytes_of(text_of(block))}};
  for (size_t i = 0; i < block.encodings.size(); ++i) add_tensors(i, block.encodings[i], tensors);
  write_whole(path, std::move(tensors));
}

SavedBlock read_block(const std::string& path, const std::vector<ExpectedWeight>& weights) {
  const Tensors tensors = read_whole(path);
  try {
    const OrderedJson json = parse_json(text_of(tensors.at(kText)), path);
    SavedBlock block{.trained = json.at("trained"),
                     .ran_in_training = json.at("ran_in_training"),
                     .report = report_from(json.at("report"))};
    const OrderedJson& saved = json.at("weights");
    ADA_CHECK(saved.size() == weights.size(), "{}: has {} weights, expected {}", path, saved.size(),
              weights.size());
    for (size_t i = 0; i < weights.size(); ++i)
      block.encodings.push_back(encoding_from(path, i, saved.at(i), weights[i], tensors));
    return block;
  } catch (const Error&) {  // boundary: says all already
    throw;
  } catch (const std::exception& error) {  // boundary: a name or a type that no file of ours has
    fail("{}: is no block of a checkpoint: {}", path, reason_of(error));
  }
}

}  // namespace adascale
