#include "adascale/quant/group_pass.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cstdint>

#include "adascale/core/error.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/row_view.h"

namespace adascale {
namespace {

constexpr uintptr_t kAlignment = 16;  // of what a thread loads at once

c10::ScalarType stored_type(const at::Tensor& w) {
  return w.scalar_type() == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

at::Tensor loadable(const at::Tensor& t, c10::ScalarType type) {
  const at::Tensor stored = t.detach().to(type).contiguous();
  return reinterpret_cast<uintptr_t>(stored.const_data_ptr()) % kAlignment == 0 ? stored : stored.clone();
}

const float* floats_of(const at::Tensor& t) {
  return t.const_data_ptr<float>();
}
float* learnable_of(const at::Tensor& t) {
  return t.mutable_data_ptr<float>();
}

}  // namespace

bool GroupPass::takes(const Grid& row_grid, bool has_s4) {
  return rows_are_channels(row_grid) && row_grid.per_channel() && !has_s4 && row_grid.is_plain();
}

bool GroupPass::takes(const AdaScaleState& state) {
  return state.s2.scalar_type() == at::kFloat && takes(state.grid, state.s4.defined());
}

GroupVariant GroupPass::variant_of(const AdaScaleState& state, UpdateRule update,
                                   c10::ScalarType output_type) {
  return {.weight = stored_type(state.w),
          .output = output_type,
          .update = update,
          .cols = state.w.numel() / state.w.size(0),
          .group = state.w.numel() / state.start.min.numel()};
}

GroupPass::GroupPass(const AdaScaleState& state, const StepRule& rule, c10::ScalarType output_type,
                     std::shared_ptr<const GroupKernels> kernels)
    : state_(state),
      rule_(rule),
      kernels_(std::move(kernels)),
      w_(loadable(state.w, stored_type(state.w))),
      min_(state.start.min.detach().contiguous()),
      max_(state.start.max.detach().contiguous()),
      start_scale_(scale_of({min_, max_}, state.grid).abs().contiguous()),
      scale_(at::empty_like(min_)),
      offset_(at::empty_like(min_)),
      shrink_(at::empty_like(min_)),
      weight_(at::empty(state.weight_sizes, w_.options().dtype(output_type))),
      moments_(rule.update) {
  ADA_ASSERT(takes(state), "the kernels don't take this weight");
  const GroupVariant variant = variant_of(state, rule.update, output_type);
  visit_.rows = state.w.size(0), visit_.cols = variant.cols, visit_.group = variant.group;
  visit_.grid = row_grid(state.grid);
  visit_.w = w_.const_data_ptr(), visit_.output = weight_.mutable_data_ptr();
  visit_.min = floats_of(min_), visit_.max = floats_of(max_), visit_.start_scale = floats_of(start_scale_);
  visit_.s2.value = learnable_of(state.s2), visit_.s3.value = learnable_of(state.s3);
  visit_.beta.value = learnable_of(state.beta), visit_.gamma.value = learnable_of(state.gamma);
  moments_.add(visit_.s2, state.s2), moments_.add(visit_.s3, state.s3);
  moments_.add(visit_.beta, state.beta), moments_.add(visit_.gamma, state.gamma);
  visit_.now = {learnable_of(scale_), learnable_of(offset_), learnable_of(shrink_)};
  kernels_->quantize(visit_);
  weight_.requires_grad_();
}

void GroupPass::step(double decay) {
  if (!weight_.grad().defined()) return;
  const at::NoGradGuard no_grad;
  const at::Tensor gradient = loadable(weight_.grad(), weight_.scalar_type());
  visit_.gradient = gradient.const_data_ptr();
  visit_.rule = rule_at(rule_, decay, ++steps_);
  kernels_->step(visit_);
  weight_.mutable_grad() = at::Tensor();
}

}  // namespace adascale
