#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <optional>
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// Whether `op`, as Node::op() gives it, is torch's product of groups of rows with a matrix each: the
/// experts of a mixture.
bool is_grouped_product(const std::string& op);

/// Gives a node of transformers::grouped_mm_fallback the name and operands of aten::_grouped_mm.
/// Both compute the same; transformers takes its own where torch's refuses the dtype. The document,
/// which is written back, keeps the name it had. Other nodes stay.
void call_it_torchs_grouped_product(Node& node);

/// The rows of each group, by where they end, and at the end those of none. Throws (user) unless there is an end for each
/// group, ascending, within the rows.
std::vector<int64_t> group_sizes(const at::Tensor& ends, int64_t groups, int64_t rows);

/// x [rows, in], w [groups, in, out], ends int [groups] -> [rows, out], in the dtype of x: row r of
/// group i becomes x[r] w[i], and a group's rows end where `ends` says. Rows after the last group
/// become 0. `operands` are those of aten::_grouped_mm. Differentiable, in any float dtype and on any
/// device; torch's operator differs in both from version to version.
///
/// Returns nothing for the operator's other forms: two 2D or two 3D factors, a bias, an output dtype.
std::optional<at::Tensor> multiply_by_groups(const std::vector<c10::IValue>& operands);

}  // namespace adascale
