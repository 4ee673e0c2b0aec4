#include "adascale/sim/quantsim.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/progress.h"
#include "adascale/graph/fold_batch_norms.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/sim/calibration.h"
#include "adascale/sim/compute_device.h"
#include "adascale/sim/config.h"
#include "adascale/sim/describe.h"
#include "adascale/sim/place_quantizers.h"

namespace adascale {
namespace {

void check_options(const SimOptions& options, Objections& objections) {
  RuleChecker checker(objections);
  visit_sim_options(checker, options);
}

}  // namespace

int64_t version_of(const at::Tensor& tensor) {
  return tensor.is_inference() ? 0 : tensor._version();
}

struct QuantizationSimModel::Body {
  /// A weight's encoding, and the values that take the parameter's place.
  struct Folding {
    int32_t weight;
    Encoding encoding;
    at::Tensor values;
  };

  Program program;
  SimOptions options;
  std::vector<KeptBatchNorm> kept_batch_norms;
  LayerList layers;
  std::vector<QuantizedWeight> weights;
  std::vector<Layer> excluded;
  std::vector<ActivationQuantizer> activations;
  std::vector<int32_t> weight_by_value, activation_by_value;  // kNone where there is no quantizer
  std::unordered_map<std::string, at::Tensor> folded;         // the present parameters, where they differ
  std::unordered_map<std::string, int64_t> versions;  // of each of the program's tensors when last seen
  std::unique_ptr<Plan> plan;
  std::unique_ptr<Calibration> calibration;
  std::optional<std::vector<Inputs>> recording;
  bool calibrated = false;

  Body(Program program_in, SimOptions options_in);
  void index_weights();
  void index_quantizers();
  void check_versions() const;
  at::Tensor values_of(int32_t weight, const Encoding& encoding) const;
  void put(Folding folding, bool trained);
  Outputs run(const Inputs& inputs, const RunHooks& hooks) const;
  at::Tensor simulate_activation(ValueId value, const at::Tensor& x) const;
};

QuantizationSimModel::Body::Body(Program program_in, SimOptions options_in)
    : program(std::move(program_in)), options(std::move(options_in)) {
  Objections objections;
  check_options(options, objections);
  check_unquantized(program, objections);
  objections.raise();
  program.device = compute_device(program, options.device);
  const SimConfig config =
      options.config_file.empty() ? default_sim_config() : read_sim_config(options.config_file);
  if (options.fold_batch_norms) {
    if (options.in_place) check_folded(program, config, options);
    kept_batch_norms = fold_batch_norms(program, options.in_place);
  }
  Placed placed = place_quantizers(program, config, options);
  layers = std::move(placed.layers);
  weights = std::move(placed.weights);
  excluded = std::move(placed.excluded);
  activations = std::move(placed.activations);
  plan = std::move(placed.plan);
  index_quantizers();
  for (const PassedOver& layer : layers.passed_over)
    log_line(fmt::format("{}: not quantized: {}", layer.name, layer.reason));
}

void QuantizationSimModel::Body::index_weights() {
  weight_by_value.assign(program.values.size(), kNone);
  for (size_t i = 0; i < weights.size(); ++i) {
    for (const ValueId value : weights[i].layer.weights) weight_by_value[value] = static_cast<int32_t>(i);
  }
}

void QuantizationSimModel::Body::index_quantizers() {
  index_weights();
  activation_by_value.assign(program.values.size(), kNone);
  for (const auto& [name, tensor] : program.state) versions[name] = version_of(tensor);
  for (size_t i = 0; i < activations.size(); ++i)
    activation_by_value[activations[i].value] = static_cast<int32_t>(i);
}

void QuantizationSimModel::Body::check_versions() const {
  for (const auto& [name, tensor] : program.state) {
    if (folded.contains(name)) continue;  // the sim has its own tensor
    ADA_CHECK(version_of(tensor) == versions.at(name),
              "{}: the tensor was changed after the simulation was made, and they share it; make a new one",
              name);
  }
}

Outputs QuantizationSimModel::Body::run(const Inputs& inputs, const RunHooks& hooks) const {
  const at::NoGradGuard no_grad;
  check_versions();
  check_inputs(program, inputs);
  Environment environment(program);
  feed_inputs(program, inputs, environment, hooks);
  plan->run(environment, hooks);
  return collect_outputs(program, environment);
}

at::Tensor QuantizationSimModel::Body::simulate_activation(ValueId value, const at::Tensor& x) const {
  const int32_t index = activation_by_value[value];
  if (index == kNone || !activations[index].encoding) return x;
  const ActivationQuantizer& quantizer = activations[index];
  return fake_quantize_activation(x, quantizer.encoding->scale, quantizer.encoding->offset, quantizer.bits,
                                  quantizer.symmetric);
}

QuantizationSimModel::QuantizationSimModel(Program program, SimOptions options)
    : body_(std::make_unique<Body>(std::move(program), std::move(options))) {}
QuantizationSimModel::~QuantizationSimModel() = default;
QuantizationSimModel::QuantizationSimModel(QuantizationSimModel&&) noexcept = default;

const Program& QuantizationSimModel::program() const {
  return body_->program;
}
const SimOptions& QuantizationSimModel::options() const {
  return body_->options;
}
const std::vector<QuantizedWeight>& QuantizationSimModel::weights() const {
  return body_->weights;
}
const std::vector<ActivationQuantizer>& QuantizationSimModel::activations() const {
  return body_->activations;
}
const std::vector<Layer>& QuantizationSimModel::excluded() const {
  return body_->excluded;
}
const std::vector<PassedOver>& QuantizationSimModel::passed_over() const {
  return body_->layers.passed_over;
}
const std::vector<KeptBatchNorm>& QuantizationSimModel::kept_batch_norms() const {
  return body_->kept_batch_norms;
}
bool QuantizationSimModel::has_match(const std::string& pattern) const {
  const auto& calls = body_->program.calls;
  const auto& layers = body_->layers.layers;
  return std::any_of(calls.begin(), calls.end(),
                     [&](const ModuleCall& call) {
                       return glob_match(pattern, call.label()) || glob_match(pattern, call.path);
                     }) ||
         std::any_of(layers.begin(), layers.end(), [&](const Layer& layer) {
           return pattern == layer.kind->name || glob_match(pattern, layer.name);
         });
}
int32_t QuantizationSimModel::weight_of(ValueId parameter) const {
  return body_->weight_by_value[parameter];
}
bool QuantizationSimModel::is_calibrated() const {
  if (body_->calibrated) return true;
  const auto& activations = body_->activations;
  const auto is_decided = [](const ActivationQuantizer& quantizer) {
    return quantizer.encoding || !quantizer.off_reason.empty();
  };
  return !activations.empty() && std::all_of(activations.begin(), activations.end(), is_decided);
}
std::string QuantizationSimModel::describe() const {
  return describe_sim(*this);
}

Outputs QuantizationSimModel::run(const Inputs& inputs, SimMode mode) const {
  RunHooks hooks;
  hooks.load_state = [this, mode](ValueId value) { return load_state(value, mode); };
  if (mode == SimMode::kSimulate) {
    check_no_nan(body_->program, inputs);
    hooks.transform = [this](ValueId value, const at::Tensor& x) {
      return body_->simulate_activation(value, x);
    };
  }
  return body_->run(inputs, hooks);
}

Outputs QuantizationSimModel::call(const Inputs& inputs) {
  Body& body = *body_;
  if (body.recording) {
    check_inputs(body.program, inputs);
    body.recording->push_back(copy_to_host(inputs));
    throw ForwardRecorded{};
  }
  if (!body.calibration) return run(inputs);
  body.calibration->count_call();
  RunHooks hooks;
  hooks.load_state = [this](ValueId value) { return load_state(value, SimMode::kWeightsOnly); };
  hooks.transform = [&body](ValueId value, const at::Tensor& x) {
    const int32_t index = body.activation_by_value[value];
    if (index != kNone) body.calibration->observe(index, body.activations[index], x);
    return x;
  };
  return body.run(inputs, hooks);
}

Outputs QuantizationSimModel::operator()(const std::vector<at::Tensor>& tensors) {
  return call(bind_inputs(program(), tensors));
}
Outputs QuantizationSimModel::operator()(const std::map<std::string, at::Tensor>& tensors) {
  return call(bind_inputs(program(), tensors));
}
Outputs QuantizationSimModel::operator()(const at::Tensor& tensor) {
  return call(bind_inputs(program(), std::vector<at::Tensor>{tensor}));
}

void QuantizationSimModel::begin_calibration() {
  ADA_CHECK(!body_->recording, "compute_encodings: called while a forward function is being recorded");
  ADA_CHECK(!body_->calibration, "compute_encodings: called within another compute_encodings");
  const RangeScheme& scheme = range_scheme(to_string(body_->options.quant_scheme));
  body_->calibration =
      std::make_unique<Calibration>(body_->program, body_->activations.size(), scheme.make_analyzer);
}

// All that may fail comes first: after an exception the sim is as before. In place, the values of all
// weights at once would be a second copy of the model, so that each is made when it is put there.
void QuantizationSimModel::end_calibration() {
  const at::NoGradGuard no_grad;
  Body& body = *body_;
  ADA_CHECK(body.calibration, "compute_encodings: end without begin");
  std::vector<ActivationQuantizer> activations = body.calibration->finish(body.activations);
  std::vector<Body::Folding> rest;
  for (int32_t i = 0; i < static_cast<int32_t>(body.weights.size()); ++i) {
    if (body.weights[i].encoding) continue;
    rest.push_back({i, weight_encoding(i), {}});
    if (!body.options.in_place) rest.back().values = body.values_of(i, rest.back().encoding);
  }
  for (Body::Folding& folding : rest) {
    if (body.options.in_place) folding.values = body.values_of(folding.weight, folding.encoding);
    body.put(std::move(folding), /*trained=*/false);
  }
  body.activations = std::move(activations);
  body.calibrated = true;
  body.calibration.reset();
}

int64_t QuantizationSimModel::calibration_calls() const {
  return body_->calibration ? body_->calibration->calls() : 0;
}

void QuantizationSimModel::abort_calibration() {
  body_->calibration.reset();
}

void QuantizationSimModel::compute_encodings(const std::function<void(QuantizationSimModel&)>& forward_pass) {
  begin_calibration();
  try {
    forward_pass(*this);
    end_calibration();
  } catch (...) {  // boundary: the sim is as before, the caller's exception goes on
    abort_calibration();
    throw;
  }
}

void QuantizationSimModel::start_recording() {
  body_->recording.emplace();
}

size_t QuantizationSimModel::recorded_calls() const {
  return body_->recording ? body_->recording->size() : 0;
}

std::vector<Inputs> QuantizationSimModel::stop_recording() {
  ADA_ASSERT(body_->recording, "stop_recording without start_recording");
  std::vector<Inputs> recorded = std::move(*body_->recording);
  body_->recording.reset();
  return recorded;
}

at::Tensor QuantizationSimModel::state(const std::string& name) const {
  const auto folded = body_->folded.find(name);
  return folded == body_->folded.end() ? body_->program.state.at(name) : folded->second;
}

at::Tensor QuantizationSimModel::load_state(ValueId value, SimMode mode) const {
  const ProgramInput* input = body_->program.input_of(value);
  if (mode == SimMode::kFloat) return body_->program.state.at(input->name).detach();
  const int32_t weight = body_->weight_by_value[value];
  return weight == kNone ? state(input->name).detach() : dequantized_weight(weight);
}

at::Tensor QuantizationSimModel::dequantized_weight(int32_t index) const {
  const QuantizedWeight& weight = body_->weights[index];
  const std::string& name = weight.layer.parameters.front();
  if (weight.encoding) return state(name).detach();
  const at::NoGradGuard no_grad;
  const at::Tensor w = state(name).detach().to(program().device);
  const Affine affine = affine_of(on(weight.range, w.device()), weight.grid);
  const at::Tensor split = split_groups(w.to(at::kFloat), weight.grid);
  return join_groups(fake_quantize(split, affine, weight.grid), w.sizes()).to(w.scalar_type());
}

Encoding QuantizationSimModel::weight_encoding(int32_t index) const {
  const QuantizedWeight& weight = body_->weights[index];
  if (weight.encoding) return *weight.encoding;
  const std::string& name = weight.layer.parameters.front();
  return encode_rtn(name, state(name).detach().to(program().device), weight.grid, weight.range);
}

void QuantizationSimModel::check_unchanged() const {
  body_->check_versions();
}

void QuantizationSimModel::fold(int32_t index, Encoding encoding, bool trained) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = body_->values_of(index, encoding);
  body_->put({index, std::move(encoding), values}, trained);
}

/// The dequantized weight, where the program's own is.
at::Tensor QuantizationSimModel::Body::values_of(int32_t index, const Encoding& encoding) const {
  const at::Tensor& own = program.state.at(weights[index].layer.parameters.front());
  return dequantize(on(encoding, program.device)).to(own.device());
}

// Some names of a tied parameter may be read by no node: torch.export keeps only one in the graph.
void QuantizationSimModel::Body::put(Folding folding, bool trained) {
  QuantizedWeight& weight = weights[folding.weight];
  at::Tensor own = program.state.at(weight.layer.parameters.front()).detach();
  if (options.in_place) own.copy_(folding.values);
  for (const auto& [name, tensor] : program.state) {
    if (tensor.const_data_ptr() != own.const_data_ptr() || tensor.sizes() != own.sizes()) continue;
    if (options.in_place)
      versions[name] = version_of(tensor);
    else
      folded[name] = folding.values;
  }
  weight.encoding = std::move(folding.encoding);
  weight.trained = trained;
}

at::Tensor QuantizationSimModel::source_weight(int32_t index) const {
  const QuantizedWeight& weight = body_->weights[index];
  const std::string& name = weight.layer.parameters.front();
  ADA_CHECK(!(weight.encoding && body_->options.in_place),
            "{}: was folded in place, and its weight as it came is gone; make a new simulation", name);
  return body_->program.state.at(name).detach();
}

void QuantizationSimModel::load_weight(int32_t index, Encoding encoding, bool fixed) {
  QuantizedWeight& weight = body_->weights[index];
  const Grid& grid = encoding.grid;
  const at::Tensor scale = encoding.scale, lowest = encoding.offset + grid.qmin();
  weight.grid = grid;
  weight.range = {scale * lowest, scale * (lowest + grid.steps())};
  fold(index, std::move(encoding), /*trained=*/false);
  weight.loaded = true;
  weight.is_fixed = fixed;
  weight.note.clear();
}

void QuantizationSimModel::load_activation(int32_t index, int bits, bool symmetric,
                                           const ActivationEncoding& encoding, bool fixed) {
  ActivationQuantizer& quantizer = body_->activations[index];
  quantizer.bits = bits;
  quantizer.symmetric = symmetric;
  quantizer.encoding = encoding;
  quantizer.off_reason.clear();
  quantizer.is_fixed = fixed;
}

void QuantizationSimModel::turn_off_activation(int32_t index, const std::string& reason) {
  body_->activations[index].encoding.reset();
  body_->activations[index].off_reason = reason;
  body_->activations[index].is_fixed = true;
}

void QuantizationSimModel::turn_off_weight(int32_t index) {
  ADA_ASSERT(!body_->weights[index].encoding, "a decided weight cannot be left out");
  body_->excluded.push_back(body_->weights[index].layer);
  body_->weights.erase(body_->weights.begin() + index);
  body_->index_weights();
}

}  // namespace adascale
