#include "adascale/quant/adascale_quantizer.h"

#include <ATen/ExpandUtils.h>
#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/div.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "adascale/core/error.h"
#include "adascale/kernels/weight_rows.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/finite.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/weight_pass.h"

namespace adascale {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// W' = W / exp(s2) / exp(s3) [/ exp(s4)], in AIMET's order of divisions. dW'/ds = -W' for each
// of them, so backward needs only W'; autograd on the plain expression would keep four tensors
// and visit them three times.
struct DivideByExp : torch::autograd::Function<DivideByExp> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& w, const at::Tensor& s2,
                            const at::Tensor& s3, const std::optional<at::Tensor>& s4) {
    at::Tensor divided = s2.exp();
    at::div_out(divided, w, divided);
    divided.div_(s3.exp());
    if (s4) divided.div_(s4->exp());
    ctx->save_for_backward({divided, s3, s4.value_or(at::Tensor())});
    return divided;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &divided = saved[0], &s3 = saved[1], &s4 = saved[2];
    const at::Tensor to_s2 = (grads[0] * divided).neg_();
    const at::Tensor to_s4 = s4.defined() ? at::sum_to(to_s2, s4.sizes()) : at::Tensor();
    return {at::Tensor(), to_s2, at::sum_to(to_s2, s3.sizes()), to_s4};
  }
};

at::Tensor learnable(at::IntArrayRef sizes, const at::Tensor& like) {
  return at::zeros(sizes, like.options()).requires_grad_();
}

// s4's shape against the split weight: every axis is 1 except the input axis, which groups cut in two.
std::vector<int64_t> input_axis_sizes(at::IntArrayRef weight_sizes, const Grid& grid, int64_t input_axis) {
  std::vector<int64_t> sizes(weight_sizes.size(), 1);
  sizes[input_axis] = weight_sizes[input_axis];
  if (grid.per_group()) {
    ADA_ASSERT(input_axis == grid.group_axis, "s4 and groups along different axes");
    sizes[input_axis] /= grid.group_size;
    sizes.insert(sizes.begin() + input_axis + 1, grid.group_size);
  }
  return sizes;
}

}  // namespace

AdaScaleQuantizer::AdaScaleQuantizer(at::Tensor weight, const Grid& source, const Range& start,
                                     int64_t input_axis)
    : source_grid_(source), layout_(weight.sizes(), source) {
  const auto range_sizes = scale_sizes(weight.sizes(), source);
  ADA_ASSERT(start.min.sizes() == range_sizes && start.max.sizes() == range_sizes,
             "start range is not of shape Q");
  const c10::ScalarType dtype = at::toOpMathType(weight.scalar_type());
  const Grid& grid = layout_.grid();
  const at::Tensor w = layout_.to_rows(weight.detach());
  input_axis = layout_.axis_of(input_axis);
  state_ = {.w = split_groups(w, grid),
            .weight_sizes = w.sizes().vec(),
            .source_dtype = w.scalar_type(),
            .grid = grid,
            .start = {layout_.to_rows(start.min.to(w.device(), dtype)),
                      layout_.to_rows(start.max.to(w.device(), dtype))}};
  const std::vector<int64_t> q_sizes = scale_sizes(w.sizes(), grid);
  const at::Tensor& like = state_.start.min;
  state_.beta = learnable(q_sizes, like);
  state_.gamma = learnable(q_sizes, like);
  state_.s2 = learnable(state_.w.sizes(), like);
  state_.s3 = learnable(q_sizes, like);
  if (input_axis >= 0) state_.s4 = learnable(input_axis_sizes(w.sizes(), grid, input_axis), like);
}

at::Tensor AdaScaleQuantizer::divide() const {
  // A custom Function does not take undefined tensors.
  return DivideByExp::apply(state_.w, state_.s2, state_.s3,
                            state_.s4.defined() ? std::optional(state_.s4) : std::nullopt);
}

Affine learned_affine(const AdaScaleState& state) {
  return storable_affine({state.beta.exp() * state.start.min, state.gamma.exp() * state.start.max},
                         state.grid);
}

FakeQuantized AdaScaleQuantizer::quantized() const {
  if (!at::GradMode::is_enabled() && kernels_take(state_)) return quantize_by_rows(state_);
  const Affine now = learned_affine(state_);
  return {fake_quantize(divide(), now, state_.grid), now};
}

at::Tensor AdaScaleQuantizer::quantized_weight() const {
  return in_source_layout(join_groups(quantized().weight, state_.weight_sizes, state_.grid))
      .to(state_.source_dtype);
}

std::vector<at::Tensor> AdaScaleQuantizer::rounding_learnables() const {
  return state_.s4.defined() ? std::vector<at::Tensor>{state_.s2, state_.s3, state_.s4}
                             : std::vector<at::Tensor>{state_.s2, state_.s3};
}

std::vector<at::Tensor> AdaScaleQuantizer::code_steps() const {
  const at::NoGradGuard no_grad;
  const at::Tensor scale = scale_of(state_.start, state_.grid).abs();
  const at::Tensor weight = state_.w.to(scale.scalar_type()).abs().clamp_min_(kLeastWeight);
  const at::Tensor code = state_.grid.form->code_length(weight, scale);
  std::vector<at::Tensor> steps{code.div(weight).clamp_max_(kLongestStep)};
  steps.resize(rounding_learnables().size(), at::full({}, kSharedStep, scale.options()));
  return steps;
}

std::vector<at::Tensor> AdaScaleQuantizer::learnables() const {
  std::vector<at::Tensor> all = scale_learnables();
  for (const at::Tensor& s : rounding_learnables()) all.push_back(s);
  return all;
}

void AdaScaleQuantizer::set_learnables(const std::vector<at::Tensor>& values) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> mine = learnables();
  ADA_CHECK(values.size() == mine.size(),
            "{} learnable tensors for a quantizer of {}; is this another layer's state?", values.size(),
            mine.size());
  for (size_t i = 0; i < mine.size(); ++i) {
    ADA_CHECK(values[i].sizes() == mine[i].sizes(),
              "learnable {} is of shape {}, expected {}; is this another layer's state?", i,
              c10::str(values[i].sizes()), c10::str(mine[i].sizes()));
  }
  for (size_t i = 0; i < mine.size(); ++i) mine[i].copy_(values[i]);
}

Encoding AdaScaleQuantizer::encode(const std::string& name) const {
  const at::NoGradGuard no_grad;
  check_finite(name + ", trained weight", divide());
  const FakeQuantized result = quantized();
  check_finite(name + ", trained scale", result.affine.scale);
  if (result.affine.minimum.defined()) check_finite(name + ", trained minimum", result.affine.minimum);
  // The weight is on its grid already, so encoding it gives back its own codes.
  Encoding encoding = encode_affine(name, join_groups(state_.w, state_.weight_sizes, state_.grid),
                                    result.weight, result.affine, state_.grid);
  encoding.grid = source_grid_;
  for (at::Tensor* kept : tensors_of(encoding)) *kept = layout_.from_rows(*kept).contiguous();
  return encoding;
}

at::Tensor AdaScaleQuantizer::divided_weight() const {
  const at::NoGradGuard no_grad;
  return in_source_layout(join_groups(divide(), state_.weight_sizes, state_.grid));
}

}  // namespace adascale
