#include "adascale/graph/fold_batch_norms.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full_like.h>

#include "adascale/core/error.h"
#include "adascale/graph/program_editor.h"

namespace adascale {
namespace {

/// y = scale x + shift per channel, in double: the function of a norm with fixed statistics.
struct Affine {
  at::Tensor scale, shift;
};

const std::string& name_of(const Program& program, const Node& node, const char* operand) {
  static const std::string none;
  const Argument* argument = node.input(operand);
  const bool is_value = argument && argument->kind == Argument::Kind::kValue;
  return is_value ? program.input_of(argument->value)->name : none;
}

double epsilon_of(const Node& norm) {
  const Argument* epsilon = norm.input("eps");
  ADA_CHECK(epsilon && epsilon->literal.isScalar(), "node '{}': its eps is not a number", norm.name);
  return epsilon->literal.toScalar().toDouble();
}

Affine affine_of(const Program& program, const Node& norm) {
  const auto read = [&](const char* operand) -> at::Tensor {
    const std::string& name = name_of(program, norm, operand);
    return name.empty() ? at::Tensor() : program.state.at(name).detach().to(at::kDouble);
  };
  const at::Tensor gamma = read("weight"), beta = read("bias"), mean = read("running_mean");
  at::Tensor scale = read("running_var").add(epsilon_of(norm)).rsqrt();
  if (gamma.defined()) scale = scale.mul(gamma);
  const at::Tensor shift = mean.mul(scale).neg();
  return {scale, beta.defined() ? shift.add(beta) : shift};
}

/// The weight with every output channel multiplied by its scale, in double.
at::Tensor scale_channels(const Node& layer, const at::Tensor& weight, const at::Tensor& scale) {
  const at::Tensor w = weight.detach().to(at::kDouble);
  if (!has_transposed_weight(layer)) {
    std::vector<int64_t> shape(w.dim(), 1);
    shape[0] = -1;
    return w.mul(scale.view(shape));
  }
  // [in, out / groups, ...], where input channel i is in group i / (in / groups).
  const int64_t groups = groups_of(layer);
  std::vector<int64_t> shape(w.dim() + 1, 1);
  shape[0] = groups, shape[2] = w.size(1);
  std::vector<int64_t> split = {groups, w.size(0) / groups};
  split.insert(split.end(), w.sizes().begin() + 1, w.sizes().end());
  return w.reshape(split).mul(scale.view(shape)).reshape(w.sizes());
}

bool is_same_tensor(const at::Tensor& a, const at::Tensor& b) {
  return a.const_data_ptr() == b.const_data_ptr() && a.sizes() == b.sizes() && a.strides() == b.strides();
}

class BatchNormFolder {
 public:
  BatchNormFolder(Program& program, bool in_place)
      : program_(program), in_place_(in_place), editor_(program) {}

  void fold(const FoldableBatchNorm& pair) {
    const Node& norm = program_.nodes[pair.norm];
    const Node& layer = program_.nodes[pair.layer];
    const Affine affine = affine_of(program_, norm);
    const std::string weight = name_of(program_, layer, "weight");
    at::Tensor bias = fold_weight(layer, weight, affine);
    const std::string own_bias = name_of(program_, layer, "bias");
    auto source = harmless_state(norm, own_bias.empty() ? bias.detach() : at::Tensor());
    if (in_place_)
      for (const auto& [name, values] : source) program_.state.at(name).detach().copy_(values);
    if (own_bias.empty())
      editor_.add_parameter(pair.layer, "bias", fresh_bias_name(weight), bias, "weight");
    else
      replace(own_bias, bias);
    for (const std::string& name : {weight, own_bias})
      if (!name.empty()) source[name] = program_.state.at(name);
    program_.folded_batch_norms.push_back({label(norm), label(layer), std::move(source)});
    const std::string mean = name_of(program_, norm, "running_mean");
    editor_.remove_inputs_under(mean, norm);
    editor_.bypass(pair.norm, norm.outputs[0].values[0], norm.input("input")->value);
  }

  void finish() { editor_.finish(); }

 private:
  std::string label(const Node& node) const {
    return node.call == kNone ? node.name : program_.calls[node.call].label();
  }

  /// Scales the weight; returns the bias for it, in the weight's dtype.
  at::Tensor fold_weight(const Node& layer, const std::string& weight, const Affine& affine) {
    const std::string& bias = name_of(program_, layer, "bias");
    const at::Tensor own = program_.state.at(weight);
    at::Tensor shift = affine.shift;
    if (!bias.empty()) shift = shift.add(program_.state.at(bias).detach().to(at::kDouble).mul(affine.scale));
    replace(weight, scale_channels(layer, own, affine.scale));
    return shift.to(own.scalar_type()).set_requires_grad(own.requires_grad());
  }

  /// Replaces the tensor under all its names.
  void replace(const std::string& name, const at::Tensor& values) {
    const at::Tensor own = program_.state.at(name);
    if (in_place_) {
      own.detach().copy_(values);
      return;
    }
    const at::Tensor now = values.to(own.scalar_type()).set_requires_grad(own.requires_grad());
    for (auto& [other, tensor] : program_.state)
      if (is_same_tensor(tensor, own)) tensor = now;
  }

  /// The state that makes a norm the identity, or lets it only add `bias`.
  std::unordered_map<std::string, at::Tensor> harmless_state(const Node& norm, const at::Tensor& bias) const {
    std::unordered_map<std::string, at::Tensor> state;
    const auto fill = [&](const char* operand, double value) {
      const std::string& name = name_of(program_, norm, operand);
      if (!name.empty()) state[name] = at::full_like(program_.state.at(name).detach(), value);
    };
    fill("weight", 1), fill("bias", 0), fill("running_mean", 0), fill("running_var", 1 - epsilon_of(norm));
    if (bias.defined()) state.at(name_of(program_, norm, "running_mean")).copy_(bias.neg());
    return state;
  }

  std::string fresh_bias_name(const std::string& weight) const {
    constexpr std::string_view suffix = "weight";
    const bool is_usual = weight.ends_with(suffix);
    std::string name = is_usual ? weight.substr(0, weight.size() - suffix.size()) + "bias" : weight + "_bias";
    while (program_.state.contains(name)) name += "_";
    return name;
  }

  Program& program_;
  bool in_place_;
  ProgramEditor editor_;
};

}  // namespace

std::vector<KeptBatchNorm> fold_batch_norms(Program& program, bool in_place) {
  const at::NoGradGuard no_grad;
  const BatchNorms found = find_batch_norms(program);
  if (found.foldable.empty()) return found.kept;
  BatchNormFolder folder(program, in_place);
  for (const FoldableBatchNorm& pair : found.foldable) folder.fold(pair);
  folder.finish();
  return found.kept;
}

}  // namespace adascale
