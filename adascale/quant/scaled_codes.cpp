#include "adascale/quant/scaled_codes.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <vector>

#include "adascale/kernels/code_rows.h"
#include "adascale/kernels/kernel_switch.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/row_view.h"
#include "adascale/quant/slices.h"

namespace adascale {
namespace {

bool is_element(c10::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16;
}

bool rows_take(const Encoding& encoding) {
  const at::Tensor& codes = encoding.codes;
  return kernels_are_on() && codes.is_cpu() && codes.is_contiguous() && codes.numel() > 0 &&
         (codes.scalar_type() == at::kChar || codes.scalar_type() == at::kByte) &&
         encoding.scale.scalar_type() == at::kFloat && encoding.grid.form->has_integer_codes() &&
         rows_are_channels(encoding.grid) && missing_in_last_group(codes.sizes(), encoding.grid) == 0;
}

/// The tensors that the kernels read, as long as these run.
class CodeTensors {
 public:
  explicit CodeTensors(const Encoding& encoding)
      : codes_(encoding.codes), scale_(encoding.scale.detach().contiguous()) {
    rows_.rows = codes_.dim() == 0 ? 1 : codes_.size(0);
    rows_.cols = codes_.numel() / rows_.rows;
    rows_.one_scale = !encoding.grid.per_channel();
    rows_.group = rows_.one_scale ? rows_.cols : codes_.numel() / scale_.numel();
    if (codes_.scalar_type() == at::kChar)
      rows_.signed_codes = codes_.const_data_ptr<int8_t>();
    else
      rows_.unsigned_codes = codes_.const_data_ptr<uint8_t>();
    rows_.scale = data_of(scale_);
    if (has_offset(encoding)) offset_ = encoding.offset.to(at::kFloat).contiguous();
    if (encoding.minimum) minimum_ = encoding.minimum->to(at::kFloat).contiguous();
    if (offset_.defined()) rows_.offset = data_of(offset_);
    if (minimum_.defined()) rows_.minimum = data_of(minimum_);
  }

  /// body(rows, first, last) on all threads.
  template <class Body>
  void for_all(const Body& body) const {
    at::parallel_for(0, rows_.rows, rows_per_task(rows_.cols),
                     [&](int64_t first, int64_t last) { body(rows_, first, last); });
  }
  /// Of the sums that sum_by_scale() gives.
  std::vector<int64_t> sizes_of_sums() const { return {rows_.rows, rows_.groups()}; }
  bool one_scale() const { return rows_.one_scale; }

 private:
  at::Tensor codes_, scale_, offset_, minimum_;
  CodeRows rows_;
};

}  // namespace

at::Tensor dequantize_as(const Encoding& encoding, c10::ScalarType type) {
  if (!rows_take(encoding) || !is_element(type)) return dequantize(encoding).to(type);
  at::Tensor values = at::empty(encoding.codes.sizes(), encoding.scale.options().dtype(type));
  void* data = values.mutable_data_ptr();
  CodeTensors(encoding).for_all([&](const CodeRows& rows, int64_t first, int64_t last) {
    dequantize_rows(rows, data, stored_as(type), first, last);
  });
  return values;
}

at::Tensor scale_gradient(const Encoding& encoding, const at::Tensor& gradient) {
  if (rows_take(encoding) && is_element(gradient.scalar_type()) && gradient.is_contiguous()) {
    const CodeTensors rows(encoding);
    const at::Tensor sums = at::empty(rows.sizes_of_sums(), encoding.scale.options());
    float* data = data_of(sums);
    const void* from = gradient.const_data_ptr();
    rows.for_all([&](const CodeRows& all, int64_t first, int64_t last) {
      sum_by_scale(all, from, stored_as(gradient.scalar_type()), data, first, last);
    });
    return rows.one_scale() ? sums.sum() : sums.view(encoding.scale.sizes());
  }
  const Grid& grid = encoding.grid;
  const Slices slices(encoding.codes.sizes(), grid);
  std::vector<at::Tensor> found;
  for (size_t i = 0; i < slices.count(); ++i) {
    const at::Tensor codes = slices.weight(encoding.codes, i);
    at::Tensor numbers = grid.form->from_codes(split_groups(codes, grid), at::kFloat);
    if (has_offset(encoding)) numbers = numbers.add(slices.scales(encoding.offset, i));
    const at::Tensor terms = numbers.mul(split_groups(slices.weight(gradient, i).to(at::kFloat), grid));
    found.push_back(terms.sum(shared_axes(grid, terms), grid.per_channel()));
  }
  if (grid.per_channel()) return slices.join_scales(found);
  at::Tensor all = found.front();
  for (size_t i = 1; i < found.size(); ++i) all = all.add(found[i]);
  return all;
}

at::Tensor minimum_gradient(const Encoding& encoding, const at::Tensor& gradient) {
  const Grid& grid = encoding.grid;
  const Slices slices(encoding.codes.sizes(), grid);
  std::vector<at::Tensor> found;
  for (size_t i = 0; i < slices.count(); ++i) {
    const at::Tensor terms = split_groups(slices.weight(gradient, i).to(at::kFloat), grid);
    found.push_back(terms.sum(shared_axes(grid, terms), /*keepdim=*/true));
  }
  return slices.join_scales(found);
}

}  // namespace adascale
