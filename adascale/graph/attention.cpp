#include "adascale/graph/attention.h"

#include <ATen/SDPBackend.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_sdp_choice.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/triu.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

namespace adascale {
namespace {

constexpr int64_t kMostPairs = int64_t{1} << 25;
constexpr double kMasked = -1e30;  // below it a mask means "not at all"
constexpr double kNever = -std::numeric_limits<double>::infinity();

/// scaled_dot_product_attention's operands, by position in its schema.
struct Attention {
  at::Tensor query, key, value, mask;
  bool is_causal, shares_heads;
  double dropout, scale;

  explicit Attention(const std::vector<c10::IValue>& operands)
      : query(operands[0].toTensor()),
        key(operands[1].toTensor()),
        value(operands[2].toTensor()),
        mask(operands[3].isTensor() ? operands[3].toTensor() : at::Tensor()),
        is_causal(operands[5].toBool()),
        shares_heads(operands[7].toBool()),
        dropout(operands[4].toDouble()),
        scale(operands[6].isNone() ? 1 / std::sqrt(static_cast<double>(query.size(-1)))
                                   : operands[6].toScalar().toDouble()) {}

  int64_t pairs() const { return query.numel() / query.size(-1) * key.size(-2); }
};

/// The term added to the scores: 0 or a bias, -inf for a key that the query must not see.
at::Tensor bias_of(const Attention& attention, c10::ScalarType type) {
  const at::Tensor& mask = attention.mask;
  if (attention.is_causal)
    return at::full({attention.query.size(-2), attention.key.size(-2)}, kNever,
                    attention.query.options().dtype(type))
        .triu(1);
  if (!mask.defined()) return {};
  if (mask.scalar_type() == at::kBool)
    return at::zeros_like(mask, mask.options().dtype(type)).masked_fill_(mask.logical_not(), kNever);
  return mask.to(type);
}

/// For a query that sees no key, the operator gives zeros and a softmax gives NaN.
bool some_query_sees_nothing(const at::Tensor& bias) {
  const at::NoGradGuard no_grad;
  return bias.defined() && bias.amax(-1).lt(kMasked).any().item<bool>();
}

at::Tensor for_each_head(const at::Tensor& shared, const at::Tensor& query) {
  return shared.repeat_interleave(query.size(-3) / shared.size(-3), -3);
}

/// The operator's fused kernel writes its result in the query's order of dimensions, and a later
/// view may rely on that: nn.MultiheadAttention's does in torch 2.11.
at::Tensor laid_out_as_query(const at::Tensor& attended, const Attention& attention) {
  const std::optional<at::Tensor> mask =
      attention.mask.defined() ? std::optional(attention.mask) : std::nullopt;
  const int64_t kernel =
      at::_fused_sdp_choice(attention.query, attention.key, attention.value, mask, attention.dropout,
                            attention.is_causal, attention.scale, attention.shares_heads);
  if (kernel == static_cast<int64_t>(at::SDPBackend::math)) return attended;
  return at::empty_like(attention.query, attended.options()).copy_(attended);
}

/// Steps between attention's products and its softmax.
constexpr std::array<std::string_view, 17> kBetween = {
    "aten::mul",     "aten::div",         "aten::add",      "aten::sub",   "aten::masked_fill",
    "aten::where",   "aten::to",          "aten::_to_copy", "aten::view",  "aten::reshape",
    "aten::dropout", "aten::unsqueeze",   "aten::expand",   "aten::clone", "aten::contiguous",
    "aten::slice",   "aten::masked_fill_"};

bool is_product(const std::string& op) {
  return op == "aten::matmul" || op == "aten::bmm" || op == "aten::baddbmm";
}

class SpelledOut {
 public:
  SpelledOut(const Program& program, const std::vector<NodeId>& nodes)
      : program_(program), readers_(program.values.size()) {
    for (const NodeId node : nodes) {
      if (program.nodes[node].writes().empty()) continue;  // an assertion
      for (const ValueId value : program.nodes[node].reads()) readers_[value].push_back(node);
    }
  }

  /// The products before and after a softmax, among the given nodes; both or none.
  void find(NodeId softmax, std::vector<NodeId>& found) const {
    const NodeId scores = back(program_.nodes[softmax].reads().front()),
                 output = forth(program_.nodes[softmax].writes().front());
    if (scores == kNone || output == kNone) return;
    found.push_back(scores);
    found.push_back(output);
  }

 private:
  NodeId back(ValueId value) const {
    while (true) {
      const NodeId producer = program_.values[value].producer;
      if (producer == kNone || is_product(program_.nodes[producer].op())) return producer;
      if (!passes(producer)) return kNone;
      value = carrier(program_.nodes[producer]);
    }
  }
  NodeId forth(ValueId value) const {
    while (readers_[value].size() == 1) {
      const NodeId reader = readers_[value][0];
      if (is_product(program_.nodes[reader].op())) return reader;
      if (!passes(reader)) return kNone;
      value = program_.nodes[reader].writes().front();
    }
    return kNone;
  }
  bool passes(NodeId node) const {
    return std::find(kBetween.begin(), kBetween.end(), program_.nodes[node].op()) != kBetween.end();
  }
  /// The operand that carries the scores: for `where` the one after its condition.
  static ValueId carrier(const Node& node) { return node.reads()[node.op() == "aten::where" ? 1 : 0]; }

  const Program& program_;
  std::vector<std::vector<NodeId>> readers_;
};

}  // namespace

bool is_attention(const std::string& op) {
  return op == "aten::scaled_dot_product_attention";
}

std::vector<NodeId> find_attention(const Program& program, const std::vector<NodeId>& nodes) {
  const SpelledOut spelled_out(program, nodes);
  std::vector<NodeId> found;
  for (const NodeId node : nodes) {
    const std::string op = program.nodes[node].op();
    if (is_attention(op)) found.push_back(node);
    if (op == "aten::softmax" || op == "aten::_softmax") spelled_out.find(node, found);
  }
  const auto is_outside = [&](NodeId node) {
    return std::find(nodes.begin(), nodes.end(), node) == nodes.end();
  };
  std::erase_if(found, is_outside);
  return found;
}

std::optional<at::Tensor> attend_by_products(const std::vector<c10::IValue>& operands, c10::ScalarType type) {
  const Attention attention(operands);
  const bool masked_twice = attention.is_causal && attention.mask.defined();  // the operator says so itself
  if (attention.dropout != 0 || masked_twice || attention.pairs() > kMostPairs) return std::nullopt;
  const at::Tensor bias = bias_of(attention, type);
  if (some_query_sees_nothing(bias)) return std::nullopt;
  at::Tensor key = attention.key.to(type), value = attention.value.to(type);
  if (attention.shares_heads) {
    key = for_each_head(key, attention.query);
    value = for_each_head(value, attention.query);
  }
  at::Tensor scores = at::matmul((attention.query * attention.scale).to(type), key.transpose(-2, -1));
  if (bias.defined()) scores.add_(bias);
  return laid_out_as_query(at::matmul(scores.softmax(-1), value), attention);
}

}  // namespace adascale
