#include "adascale/tune/chunks.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "adascale/graph/dataflow.h"

namespace adascale {
namespace {

/// The nodes that the output needs, in execution order, cut behind `ends`.
std::vector<std::vector<NodeId>> cut(const std::vector<NodeId>& nodes, const std::vector<NodeId>& ends) {
  std::vector<std::vector<NodeId>> pieces(1);
  auto end = ends.begin();
  for (const NodeId node : nodes) {
    for (; end != ends.end() && node > *end; ++end)
      if (!pieces.back().empty()) pieces.emplace_back();
    pieces.back().push_back(node);
  }
  return pieces;
}

/// By value: the piece that makes it, or the last one that reads it; -1: none.
std::vector<int> pieces_by_value(const Program& program, const std::vector<std::vector<NodeId>>& pieces,
                                 std::vector<ValueId> (Node::*values)() const) {
  std::vector<int> piece_of(program.values.size(), -1);
  for (size_t piece = 0; piece < pieces.size(); ++piece)
    for (const NodeId node : pieces[piece])
      for (const ValueId value : (program.nodes[node].*values)()) piece_of[value] = static_cast<int>(piece);
  return piece_of;
}

bool has_gradient(const Value& value) {
  return value.is_float_tensor() || (value.kind == ValueKind::kTensor && c10::isComplexType(value.dtype));
}

std::set<ValueId> dependents(const Program& program, const std::vector<NodeId>& nodes,
                             const std::set<ValueId>& learned) {
  std::set<ValueId> found = learned;
  for (const NodeId node : nodes) {
    const std::vector<ValueId> reads = program.nodes[node].reads();
    if (std::none_of(reads.begin(), reads.end(), [&](ValueId value) { return found.contains(value); }))
      continue;
    for (const ValueId value : program.nodes[node].writes())
      if (has_gradient(program.values[value])) found.insert(value);
  }
  return found;
}

/// What is written in a tensor of another piece, through a view too, would be lost between runs of the pieces.
std::string overwritten_across(const Program& program, const Dataflow& flow,
                               const std::vector<std::vector<NodeId>>& pieces,
                               const std::vector<int>& made_in) {
  for (size_t piece = 0; piece < pieces.size(); ++piece)
    for (const NodeId node : pieces[piece])
      for (const ValueId value : flow.overwrites(node))
        if (made_in[flow.storage_root(value)] != static_cast<int>(piece))
          return fmt::format("{} overwrites a value that is made outside its block", program.where(node));
  return "";
}

}  // namespace

Chunks::Chunks(const Program& program, const std::vector<NodeId>& ends, const std::set<ValueId>& learned,
               ValueId output)
    : program_(program), output_(output) {
  const Dataflow flow(program);
  const std::vector<NodeId> nodes = flow.ancestors({output}, {});
  const std::vector<std::vector<NodeId>> pieces = cut(nodes, ends);
  const std::vector<int> made_in = pieces_by_value(program, pieces, &Node::writes);
  const std::vector<int> last_read = pieces_by_value(program, pieces, &Node::reads);
  dependent_ = dependents(program, nodes, learned);
  obstacle_ = overwritten_across(program, flow, pieces, made_in);
  if (obstacle_.empty() && !dependent_.contains(output))
    obstacle_ = "the output does not depend on a weight that was trained";
  for (size_t piece = 0; piece < pieces.size(); ++piece) {
    std::vector<ValueId> wanted, depend;
    for (ValueId value = 0; value < static_cast<ValueId>(program.values.size()); ++value)
      if (made_in[value] == static_cast<int>(piece) &&
          (last_read[value] > static_cast<int>(piece) || value == output))
        wanted.push_back(value);
    Interpreter interpreter(program, flow, pieces[piece], std::move(wanted));
    for (const ValueId value : interpreter.feeds()) {
      if (!dependent_.contains(value)) continue;
      depend.push_back(value);
      if (obstacle_.empty() && !program.values[value].is_float_tensor())
        obstacle_ = fmt::format("{} crosses a block's border as complex numbers", program.values[value].name);
    }
    pieces_.push_back({std::move(interpreter), std::move(depend)});
  }
}

std::vector<NodeId> Chunks::nodes() const {
  std::vector<NodeId> all;
  for (const Piece& piece : pieces_)
    all.insert(all.end(), piece.interpreter.nodes().begin(), piece.interpreter.nodes().end());
  return all;
}

void Chunks::run(Environment& environment, const RunHooks& hooks) const {
  const at::NoGradGuard no_grad;
  for (const Piece& piece : pieces_) piece.interpreter.run(environment, hooks);
}

Chunks::Tape Chunks::record(const Piece& piece, const Environment& environment, const RunHooks& hooks) const {
  const at::AutoGradMode grad(true);
  Tape tape{Environment(program_), {}};
  for (const ValueId value : piece.interpreter.feeds()) {
    const c10::IValue& feed = environment.get(value);
    tape.environment.set(value, feed.isTensor() ? c10::IValue(feed.toTensor().detach()) : feed);
  }
  for (const ValueId value : piece.depend) {
    tape.leaves[value] = tape.environment.tensor(value).requires_grad_();
    tape.environment.set(value, tape.leaves[value]);
  }
  piece.interpreter.run(tape.environment, hooks);
  return tape;
}

bool Chunks::play_back(const Piece& piece, Tape tape, Gradients& gradients) const {
  std::vector<at::Tensor> made, known;
  for (const ValueId value : piece.interpreter.wanted()) {
    const auto found = gradients.find(value);
    if (found == gradients.end()) continue;
    const at::Tensor tensor = tape.environment.tensor(value);
    if (tensor.requires_grad())
      made.push_back(tensor), known.push_back(found->second.to(tensor.scalar_type()));
    gradients.erase(found);
  }
  if (made.empty()) return false;
  tape.environment = Environment(program_);  // what only the graph needs goes as backward passes it
  torch::autograd::backward(made, known);
  for (const auto& [value, leaf] : tape.leaves) {
    if (!leaf.grad().defined()) continue;
    at::Tensor& sum = gradients[value];
    sum = sum.defined() ? sum.add(leaf.grad()) : leaf.grad();
  }
  return true;
}

void Chunks::differentiate(Environment& environment, const RunHooks& hooks, const GradientOf& gradient,
                           const std::function<void()>& after_piece) const {
  const at::NoGradGuard no_grad;
  for (size_t piece = 0; piece + 1 < pieces_.size(); ++piece)
    pieces_[piece].interpreter.run(environment, hooks);
  std::optional<Tape> last = record(pieces_.back(), environment, hooks);
  for (const ValueId value : pieces_.back().interpreter.wanted())
    environment.set(value, last->environment.tensor(value).detach());
  Gradients gradients = {{output_, gradient(environment)}};
  for (auto piece = pieces_.rbegin(); piece != pieces_.rend(); ++piece) {
    for (const ValueId value : piece->interpreter.wanted()) environment.erase(value);
    Tape tape = last ? std::move(*last) : record(*piece, environment, hooks);
    last.reset();
    if (play_back(*piece, std::move(tape), gradients) && after_piece) after_piece();
  }
}

}  // namespace adascale
