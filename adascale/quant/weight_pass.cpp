#include "adascale/quant/weight_pass.h"

#include <ATen/ExpandUtils.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/kernels/kernel_switch.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/row_view.h"

namespace adascale {
namespace {

constexpr int64_t kChunks = 16;  // of rows, for sums: fixed, so that threads don't change their order

bool is_plain_float(const at::Tensor& t) {
  return t.is_cpu() && t.scalar_type() == c10::ScalarType::Float && t.is_contiguous();
}

}  // namespace

bool kernels_take(const AdaScaleState& state) {
  // With one scale for a transposed convolution, s4 belongs to its rows.
  const bool columns_shrink = !state.s4.defined() || state.s4.size(0) == 1;
  return kernels_are_on() && is_plain_float(state.s2) && rows_are_channels(state.grid) && columns_shrink &&
         state.grid.form->row_scales() != RowScales::kNowhere;
}

FakeQuantized quantize_by_rows(const AdaScaleState& state) {
  RowView view(state);
  const at::Tensor output = at::empty(view.w.sizes(), view.w.options());
  view.write_to(output);
  const Affine found = view.quantize(state);
  return {output, found};
}

/// The rest of a pass beside the view: the rule, Adam's moments, and a second affine
/// where rows share something or the form finds it.
struct WeightPass::Rows {
  AdaScaleState state;  ///< shares the quantizer's tensors
  StepRule rule;
  RowView view;
  AffineTensors next_affine;
  at::Tensor weight, start_scale, gradient;
  Moments moments;
  RowLearnable s4;
  int64_t steps = 0;

  Rows(const AdaScaleState& of, const StepRule& how, c10::ScalarType output_type)
      : state(of), rule(how), view(of), next_affine(view.more_affine()), moments(how.update) {
    weight = at::empty(state.weight_sizes, view.w.options().dtype(output_type));
    view.write_to(weight);
    view.quantize(state);
    weight.requires_grad_();
    start_scale = scale_of({view.min, view.max}, state.grid).abs().contiguous();
    view.rows.start_scale = data_of(start_scale);
    if (has_next()) view.rows.next = next_affine.pointers();
    if (state.s4.defined()) s4.value = data_of(state.s4);
    moments.add(view.rows.s2, state.s2), moments.add(view.rows.s3, state.s3);
    moments.add(view.rows.beta, state.beta), moments.add(view.rows.gamma, state.gamma);
    if (state.s4.defined()) moments.add(s4, state.s4);
  }

  bool has_next() const { return view.rows.one_scale || view.rows.scales_apart; }

  /// The step of the learnables of scales, from which the form finds them.
  void step_apart(const RowRule& at_rates) const {
    at::parallel_for(0, view.rows.rows, rows_per_task(view.rows.cols),
                     [&](int64_t first, int64_t last) { step_ranges(view.rows, at_rates, first, last); });
    next_affine.find(state);
  }

  /// Gradients of the learnables shared by all rows, then their step; the result goes to `next`.
  void step_shared(const RowRule& at_rates) {
    const WeightRows& rows = view.rows;
    const at::Tensor scales = at::zeros({kChunks, 3}, view.w.options());
    const at::Tensor columns =
        s4.value == nullptr ? at::Tensor() : at::zeros({kChunks, rows.cols}, view.w.options());
    const int64_t per_chunk = (rows.rows + kChunks - 1) / kChunks;
    at::parallel_for(0, kChunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk)
        sum_rows(rows, std::min(rows.rows, chunk * per_chunk), std::min(rows.rows, (chunk + 1) * per_chunk),
                 rows.one_scale ? data_of(scales) + 3 * chunk : nullptr,
                 columns.defined() ? data_of(columns) + rows.cols * chunk : nullptr);
    });
    if (rows.one_scale) step_one_scale(rows, at_rates, data_of(scales.sum(0)));
    if (!columns.defined()) return;
    std::vector<int64_t> sizes = state.w.sizes().vec();
    sizes[0] = 1;
    const at::Tensor to_s4 = at::sum_to(columns.sum(0).view(sizes), state.s4.sizes()).contiguous();
    step_values(s4, at_rates, data_of(to_s4), to_s4.numel());
    next_columns = column_shrink(state);
    view.rows.column_next = data_of(next_columns);
  }
  at::Tensor next_columns;

  void step(double decay) {
    const at::NoGradGuard no_grad;
    gradient = weight.grad().to(weight.scalar_type()).contiguous();
    view.rows.gradient = gradient.const_data_ptr();
    ++steps;
    const RowRule at_rates = rule_at(rule, decay, steps);
    const bool shared = view.rows.one_scale || s4.value != nullptr;
    if (shared) step_shared(at_rates);
    if (view.rows.scales_apart) step_apart(at_rates);
    at::parallel_for(0, view.rows.rows, rows_per_task(view.rows.cols),
                     [&](int64_t first, int64_t last) { step_rows(view.rows, at_rates, first, last); });
    if (has_next()) std::swap(view.rows.now, view.rows.next), std::swap(view.affine, next_affine);
    if (s4.value != nullptr) {
      view.columns = next_columns;
      view.rows.column_now = view.rows.column_next;
    }
    gradient = at::Tensor();
    weight.mutable_grad() = at::Tensor();
  }
};

WeightPass::WeightPass(const AdaScaleState& state, const StepRule& rule, c10::ScalarType output_type)
    : rows_(std::make_unique<Rows>(state, rule, output_type)) {
  ADA_ASSERT(kernels_take(state), "the kernels don't take this weight");
  ADA_ASSERT(rule.update != UpdateRule::kStay, "a weight in training whose learnables stay");
}
WeightPass::~WeightPass() = default;
WeightPass::WeightPass(WeightPass&&) noexcept = default;

const at::Tensor& WeightPass::weight() const {
  return rows_->weight;
}

void WeightPass::step(double decay) {
  if (rows_->weight.grad().defined()) rows_->step(decay);
}

}  // namespace adascale
