#pragma once
#include "adascale/quant/forms/form.h"

namespace adascale {

/// The part that FP4 forms have in common: codes of E2M1, a sign bit over three bits of magnitude,
/// around zero, in groups of a fixed size. Codes are uint8, 0..15.
class E2m1Form : public GridForm {
 public:
  std::string describe(const Grid& grid) const override;
  bool is_asked_by_name() const override { return true; }
  std::optional<FixedGrid> fixed() const override { return FixedGrid{.bits = 4, .group_size = group_size_}; }

  double lowest(const Grid&) const override { return -6; }
  double highest(const Grid&) const override { return 6; }
  bool has_integer_codes() const override { return false; }
  at::Tensor& round_out(at::Tensor& out, const at::Tensor& x) const override;
  at::Tensor to_codes(const at::Tensor& numbers, const Grid& grid) const override;
  at::Tensor from_codes(const at::Tensor& codes, c10::ScalarType dtype) const override;
  at::Tensor code_length(const at::Tensor& w, const at::Tensor& scale) const override;

 protected:
  explicit E2m1Form(int64_t group_size) : group_size_(group_size) {}

 private:
  int64_t group_size_;
};

}  // namespace adascale
