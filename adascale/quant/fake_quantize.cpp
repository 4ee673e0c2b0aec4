#include "adascale/quant/fake_quantize.h"

#include <ATen/ExpandUtils.h>
#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/round.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "adascale/core/error.h"
#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor in_steps(const at::Tensor& w, const at::Tensor& scale) {
  return w.to(at::toOpMathType(w.scalar_type())) / scale;
}

at::Tensor clamp_to_grid(const at::Tensor& rounded, const at::Tensor& offset, const Grid& grid) {
  if (grid.symmetric) return at::clamp(rounded, grid.form->lowest(grid), grid.form->highest(grid));
  at::Tensor c = at::maximum(rounded, offset);
  return at::minimum_out(c, c, offset + grid.steps());
}

// -0.0 + 0 = +0.0: there is one code 0, so that dequantized codes give the same bits.
at::Tensor scaled(at::Tensor c, const at::Tensor& scale) {
  return c.add_(0).mul_(scale);
}

// The gradients only need, per element, the mask m and r = c - m*x. Both are kept as floats: a
// product with a bool mask costs three passes on CPU.
struct FakeQuantize : torch::autograd::Function<FakeQuantize> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& w, const at::Tensor& scale,
                            const std::optional<at::Tensor>& offset, const Grid& grid) {
    at::Tensor x = in_steps(w, scale);
    at::Tensor rounded = at::empty_like(x);
    grid.form->round_out(rounded, x);
    const at::Tensor c = clamp_to_grid(rounded, offset.value_or(at::Tensor()), grid);
    const at::Tensor inside = at::eq_out(rounded, c, rounded);
    const at::Tensor scale_factor = at::addcmul_out(x, c, x, inside, -1);
    ctx->save_for_backward({inside, scale_factor, scale});
    ctx->saved_data["has_offset"] = offset.has_value();
    return scaled(c, scale).to(w.scalar_type());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &inside = saved[0], &scale_factor = saved[1], &scale = saved[2];
    const at::Tensor g = grads[0].to(inside.scalar_type());
    const at::Tensor to_w = g * inside;
    at::Tensor to_scale, to_offset;
    if (ctx->needs_input_grad(1)) to_scale = at::sum_to(g * scale_factor, scale.sizes());
    if (ctx->saved_data["has_offset"].toBool() && ctx->needs_input_grad(2))
      to_offset = at::sum_to(g - to_w, scale.sizes()) * scale;
    return {to_w.to(grads[0].scalar_type()), to_scale, to_offset, at::Tensor()};
  }
};

struct StraightThrough : torch::autograd::Function<StraightThrough> {
  static at::Tensor forward(AutogradContext*, const at::Tensor&, const at::Tensor& value) { return value; }
  static variable_list backward(AutogradContext*, const variable_list& grads) {
    return {grads[0], at::Tensor()};
  }
};

// A custom Function does not take undefined tensors.
std::optional<at::Tensor> given(const at::Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

bool learns(const at::Tensor& t) {
  return t.defined() && t.requires_grad();
}

}  // namespace

at::Tensor fake_quantize(const at::Tensor& w, const at::Tensor& scale, const at::Tensor& offset,
                         const Grid& grid) {
  ADA_ASSERT(grid.symmetric || offset.sizes() == scale.sizes(), "scale and offset differ in shape");
  if (at::GradMode::is_enabled() && (learns(w) || learns(scale) || learns(offset)))
    return FakeQuantize::apply(w, scale, given(grid.symmetric ? at::Tensor() : offset), grid);
  return scaled(nearest_steps(w, scale, offset, grid), scale).to(w.scalar_type());
}

at::Tensor nearest_steps(const at::Tensor& w, const at::Tensor& scale, const at::Tensor& offset,
                         const Grid& grid) {
  const at::NoGradGuard no_grad;
  at::Tensor x = in_steps(w, scale);
  return clamp_to_grid(grid.form->round_out(x, x), offset, grid);
}

namespace {

// The distance from the minimum; its codes start at zero.
at::Tensor above(const at::Tensor& w, const at::Tensor& minimum) {
  return w.to(at::toOpMathType(w.scalar_type())) - minimum;
}

}  // namespace

at::Tensor fake_quantize(const at::Tensor& w, const Affine& affine, const Grid& grid) {
  if (!affine.minimum.defined()) return fake_quantize(w, affine.scale, affine.offset, grid);
  const at::Tensor from = at::zeros_like(affine.scale.detach());
  return fake_quantize(above(w, affine.minimum), affine.scale, from, grid)
      .add(affine.minimum)
      .to(w.scalar_type());
}

at::Tensor nearest_codes(const at::Tensor& w, const Affine& affine, const Grid& grid) {
  const at::NoGradGuard no_grad;
  if (affine.minimum.defined())
    return nearest_steps(above(w, affine.minimum), affine.scale, at::zeros_like(affine.scale), grid);
  const at::Tensor steps = nearest_steps(w, affine.scale, affine.offset, grid);
  return grid.symmetric ? steps : steps - affine.offset;
}

at::Tensor straight_through(const at::Tensor& x, const at::Tensor& value) {
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return value;
  return StraightThrough::apply(x, value.detach());
}

at::Tensor round_straight_through(const at::Tensor& x) {
  return straight_through(x, at::round(x.detach()));
}

at::Tensor fake_quantize_activation(const at::Tensor& x, double scale, int64_t offset, int bits,
                                    bool symmetric) {
  const Grid grid{.bits = bits, .symmetric = symmetric};
  return at::fake_quantize_per_tensor_affine(x, scale, symmetric ? 0 : -offset, grid.qmin(), grid.qmax());
}

}  // namespace adascale
