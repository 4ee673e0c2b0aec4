#include "adascale/quant/adascale_quantizer.h"

#include <ATen/ExpandUtils.h>
#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/div.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "adascale/core/error.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/finite.h"

namespace adascale {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// W' = W / exp(s2) / exp(s3) [/ exp(s4)], in AIMET's order of divisions. Since dW'/ds = -W' for each of them,
// W' itself is all that backward needs; autograd on the plain expression would keep four tensors and visit
// them thrice.
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

constexpr double kLongestStep = 10;     // of s2: a weight far below one code would leap
constexpr double kSharedStep = 0.2;     // of s3 and s4
constexpr double kLeastWeight = 1e-30;  // zero stays zero however long its step

at::Tensor learnable(at::IntArrayRef sizes, const at::Tensor& like) {
  return at::zeros(sizes, like.options()).requires_grad_();
}

// s4's shape against the split weight: every axis 1 but the input axis, which groups cut in two.
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

AdaScaleQuantizer::AdaScaleQuantizer(at::Tensor w, const Grid& grid, const Range& start, int64_t input_axis)
    : w_(split_groups(w.detach(), grid)),
      weight_sizes_(w.sizes().vec()),
      source_dtype_(w.scalar_type()),
      grid_(grid),
      start_{start.min.to(at::toOpMathType(source_dtype_)), start.max.to(at::toOpMathType(source_dtype_))} {
  const std::vector<int64_t> q_sizes = scale_sizes(weight_sizes_, grid);
  ADA_ASSERT(start.min.sizes() == q_sizes && start.max.sizes() == q_sizes, "start range is not of shape Q");
  beta_ = learnable(q_sizes, start_.min);
  gamma_ = learnable(q_sizes, start_.min);
  s2_ = learnable(w_.sizes(), start_.min);
  s3_ = learnable(q_sizes, start_.min);
  if (input_axis >= 0) s4_ = learnable(input_axis_sizes(weight_sizes_, grid, input_axis), start_.min);
}

at::Tensor AdaScaleQuantizer::divide() const {
  // A custom Function takes no undefined tensors.
  return DivideByExp::apply(w_, s2_, s3_, s4_.defined() ? std::optional(s4_) : std::nullopt);
}

AdaScaleQuantizer::Affine AdaScaleQuantizer::affine() const {
  const at::Tensor min = beta_.exp() * start_.min, max = gamma_.exp() * start_.max;
  const at::Tensor ideal = (max - min) / grid_.steps();
  const at::Tensor scale = straight_through(ideal, storable_scale(ideal.detach(), grid_));
  if (grid_.symmetric) return {scale, at::Tensor()};
  const at::Tensor position = min / scale;
  return {scale, straight_through(position, offset_from(position.detach(), grid_))};
}

at::Tensor AdaScaleQuantizer::quantized_weight() const {
  const auto [scale, offset] = affine();
  return join_groups(fake_quantize(divide(), scale, offset, grid_), weight_sizes_).to(source_dtype_);
}

std::vector<at::Tensor> AdaScaleQuantizer::rounding_learnables() const {
  return s4_.defined() ? std::vector<at::Tensor>{s2_, s3_, s4_} : std::vector<at::Tensor>{s2_, s3_};
}

std::vector<at::Tensor> AdaScaleQuantizer::code_steps() const {
  const at::NoGradGuard no_grad;
  const at::Tensor scale = scale_of(start_, grid_);
  const at::Tensor weight = w_.to(scale.scalar_type()).abs().clamp_min_(kLeastWeight);
  std::vector<at::Tensor> steps{scale.div(weight).clamp_max_(kLongestStep)};
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
  const auto [scale, offset] = affine();
  const at::Tensor divided = divide();
  check_finite(name + ", trained weight", divided);
  check_finite(name + ", trained scale", scale);
  return encode_affine(name, join_groups(w_, weight_sizes_), divided, scale, offset, grid_);
}

at::Tensor AdaScaleQuantizer::divided_weight() const {
  const at::NoGradGuard no_grad;
  return join_groups(divide(), weight_sizes_);
}

}  // namespace adascale
