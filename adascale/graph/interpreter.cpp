#include "adascale/graph/interpreter.h"

#include <ATen/ops/clone.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "adascale/core/error.h"
#include "adascale/graph/dataflow.h"
#include "adascale/graph/step.h"

namespace adascale {
namespace {

std::vector<NodeId> all_nodes(const Program& program) {
  std::vector<NodeId> nodes(program.nodes.size());
  std::iota(nodes.begin(), nodes.end(), 0);
  return nodes;
}

std::vector<ValueId> output_values(const Program& program) {
  std::vector<ValueId> values;
  for (const Argument& output : program.outputs) {
    if (output.kind == Argument::Kind::kValue) values.push_back(output.value);
  }
  return values;
}

}  // namespace

std::vector<at::Tensor> tensors_of(const std::vector<ValueId>& values, const Environment& environment) {
  std::vector<at::Tensor> tensors;
  for (const ValueId value : values) {
    const c10::IValue& held = environment.get(value);
    tensors.push_back(held.isTensor() ? held.toTensor() : at::Tensor());
  }
  return tensors;
}

/// A parameter, buffer or constant to fetch before a step.
struct StateLoad {
  ValueId value;
  const at::Tensor* stored;  // in Program::state
  bool is_overwritten;       // by a node: a copy is handed out
};

struct Stage {
  Step step;
  std::vector<StateLoad> loads;
  std::vector<ValueId> kept;  // results that some node or the caller will read
  std::vector<ValueId> drops;
};

/// The actions of a run around each node, worked out once.
struct Interpreter::Compiled {
  Compiled(const Program& program, const Dataflow& dataflow, std::vector<NodeId> nodes,
           std::vector<ValueId> wanted);

  void classify();
  void find_overwritten(const Dataflow& dataflow);
  void check_shared_feeds(const Dataflow& dataflow, NodeId writer, ValueId root);
  void add_stage(size_t index);
  bool is_made(ValueId value) const { return made_.count(value) > 0; }
  StateLoad state_load(ValueId value) const;

  const Program& program;
  std::vector<NodeId> nodes;
  std::vector<ValueId> wanted, feeds;
  std::vector<ValueId> overwritten_feeds;
  std::vector<StateLoad> final_loads;  // state that is wanted but read by no node
  std::vector<Stage> stages;

 private:
  std::set<ValueId> made_, state_, overwritten_, wanted_set_;
  std::vector<size_t> first_use_, last_use_;  // by value: index into nodes
};

Interpreter::Compiled::Compiled(const Program& p, const Dataflow& dataflow, std::vector<NodeId> n,
                                std::vector<ValueId> w)
    : program(p),
      nodes(std::move(n)),
      wanted(std::move(w)),
      wanted_set_(wanted.begin(), wanted.end()),
      first_use_(p.values.size(), SIZE_MAX),
      last_use_(p.values.size(), 0) {
  ADA_ASSERT(std::is_sorted(nodes.begin(), nodes.end()), "an interpreter's nodes must be in execution order");
  classify();
  find_overwritten(dataflow);
  stages.reserve(nodes.size());
  for (size_t index = 0; index < nodes.size(); ++index) add_stage(index);
  for (ValueId value : wanted) {
    if (state_.count(value) && first_use_[value] == nodes.size()) final_loads.push_back(state_load(value));
  }
  // As long as the program's values, which many interpreters share. `= {}` would only clear them.
  first_use_ = std::vector<size_t>(), last_use_ = std::vector<size_t>();
}

/// Sorts the values into those made here, state, and feeds.
void Interpreter::Compiled::classify() {
  for (NodeId node : nodes) {
    for (ValueId value : program.nodes[node].writes()) made_.insert(value);
  }
  std::vector<ValueId> outside;
  for (size_t index = 0; index < nodes.size(); ++index) {
    for (ValueId value : program.nodes[nodes[index]].reads()) {
      if (first_use_[value] == SIZE_MAX && !is_made(value)) outside.push_back(value);
      first_use_[value] = std::min(first_use_[value], index);
      last_use_[value] = index;
    }
  }
  for (ValueId value : wanted) {
    if (!is_made(value) && first_use_[value] == SIZE_MAX)
      outside.push_back(value), first_use_[value] = nodes.size();
  }
  for (ValueId value : outside) {
    const ProgramInput* input = program.input_of(value);
    const bool is_state = input && input->kind != ProgramInput::Kind::kUser;
    if (is_state) state_.insert(value);
    if (!is_state && std::find(feeds.begin(), feeds.end(), value) == feeds.end()) feeds.push_back(value);
  }
}

/// Finds the fed and state tensors that a node writes into, through a view or directly.
void Interpreter::Compiled::find_overwritten(const Dataflow& dataflow) {
  std::set<ValueId> roots;
  for (NodeId node : nodes) {
    for (ValueId value : dataflow.overwrites(node)) {
      roots.insert(dataflow.storage_root(value));
      check_shared_feeds(dataflow, node, dataflow.storage_root(value));
    }
  }
  for (ValueId value : feeds) {
    if (roots.count(dataflow.storage_root(value)) == 0) continue;
    overwritten_.insert(value);
    overwritten_feeds.push_back(value);
  }
  for (ValueId value : state_) {
    if (roots.count(dataflow.storage_root(value))) overwritten_.insert(value);
  }
}

/// Copies of two feeds would no longer share storage: a write through one would be missing in the other.
void Interpreter::Compiled::check_shared_feeds(const Dataflow& dataflow, NodeId writer, ValueId root) {
  std::vector<ValueId> sharing, read_later;
  for (ValueId value : feeds) {
    if (dataflow.storage_root(value) != root) continue;
    sharing.push_back(value);
    const bool is_last = first_use_[value] >= nodes.size() || nodes[last_use_[value]] <= writer;
    if (!is_last || wanted_set_.count(value)) read_later.push_back(value);
  }
  ADA_CHECK(
      sharing.size() < 2 || read_later.empty(),
      "{} ({}) writes into '{}', which enters this part of the model under two names and is read again; "
      "choose blocks that hold the whole computation of it",
      program.where(writer), program.nodes[writer].op(), program.values[root].name);
}

StateLoad Interpreter::Compiled::state_load(ValueId value) const {
  const std::string& name = program.input_of(value)->name;
  const auto stored = program.state.find(name);
  return {value, stored == program.state.end() ? nullptr : &stored->second, overwritten_.count(value) > 0};
}

void Interpreter::Compiled::add_stage(size_t index) {
  const Node& node = program.nodes[nodes[index]];
  Stage stage{Step(program, nodes[index]), {}, {}, {}};
  for (ValueId value : node.reads()) {
    if (state_.count(value) && first_use_[value] == index) stage.loads.push_back(state_load(value));
    const bool is_ours = is_made(value) || state_.count(value);
    if (is_ours && last_use_[value] == index && !wanted_set_.count(value)) stage.drops.push_back(value);
  }
  for (ValueId value : node.writes()) {
    if (first_use_[value] != SIZE_MAX || wanted_set_.count(value)) stage.kept.push_back(value);
  }
  stages.push_back(std::move(stage));
}

namespace {

/// Puts copies in place of the feeds that nodes write into, and restores the caller's tensors at the end.
class FeedCopies {
 public:
  FeedCopies(Environment& environment, const std::vector<ValueId>& overwritten,
             const std::vector<ValueId>& wanted)
      : environment_(environment) {
    for (ValueId value : overwritten) {
      const at::Tensor fed = environment.tensor(value);
      environment.set(value, fed.clone());
      const bool is_wanted = std::find(wanted.begin(), wanted.end(), value) != wanted.end();
      if (!is_wanted) originals_.emplace_back(value, fed);
    }
  }
  ~FeedCopies() {
    for (auto& [value, fed] : originals_) environment_.set(value, std::move(fed));
  }
  FeedCopies(const FeedCopies&) = delete;

 private:
  Environment& environment_;
  std::vector<std::pair<ValueId, at::Tensor>> originals_;
};

void load(const StateLoad& state, const Program& program, const RunHooks& hooks, Environment& environment) {
  ADA_CHECK(hooks.load_state || state.stored, "'{}': the program's state has no such tensor",
            program.input_of(state.value)->name);
  const at::Tensor tensor = hooks.load_state ? hooks.load_state(state.value) : *state.stored;
  const at::Tensor there = tensor.to(program.device);
  const bool is_shared = state.is_overwritten && there.is_same(tensor);
  environment.set(state.value, is_shared ? there.clone() : there);
}

void bind(ValueId value, const c10::IValue& result, const Stage& stage, const RunHooks& hooks,
          Environment& environment) {
  const bool is_kept = std::find(stage.kept.begin(), stage.kept.end(), value) != stage.kept.end();
  if (!is_kept) return;
  const bool is_transformed = hooks.transform && result.isTensor() && result.toTensor().defined();
  environment.set(value, is_transformed ? hooks.transform(value, result.toTensor()) : result);
}

void bind_results(const Program& program, const Stage& stage, const std::vector<c10::IValue>& results,
                  const RunHooks& hooks, Environment& environment) {
  const NodeId id = stage.step.node();
  const std::vector<NodeOutput>& outputs = program.nodes[id].outputs;
  const bool returns_nothing =
      results.empty() && outputs.size() == 1 && outputs[0].values == std::vector{kNone};
  ADA_CHECK(outputs.size() <= results.size() || returns_nothing,
            "{}: the operator returns {} results, expected {}", program.where(id), results.size(),
            outputs.size());
  for (size_t i = 0; i < outputs.size() && !returns_nothing; ++i) {
    const NodeOutput& output = outputs[i];
    if (!output.is_list) {
      bind(output.values[0], results[i], stage, hooks, environment);
      continue;
    }
    ADA_CHECK(results[i].isTensorList(), "{}: the operator returns a {}, expected a list of tensors",
              program.where(id), results[i].tagKind());
    const auto items = results[i].toTensorVector();
    ADA_CHECK(items.size() == output.values.size(), "{}: the operator returns {} tensors, expected {}",
              program.where(id), items.size(), output.values.size());
    for (size_t j = 0; j < items.size(); ++j) bind(output.values[j], items[j], stage, hooks, environment);
  }
}

}  // namespace

Interpreter::Interpreter(const Program& program)
    : Interpreter(program, all_nodes(program), output_values(program)) {}

Interpreter::Interpreter(const Program& program, std::vector<NodeId> nodes, std::vector<ValueId> wanted)
    : Interpreter(program, Dataflow(program), std::move(nodes), std::move(wanted)) {}

Interpreter::Interpreter(const Program& program, const Dataflow& dataflow, std::vector<NodeId> nodes,
                         std::vector<ValueId> wanted)
    : compiled_(std::make_unique<Compiled>(program, dataflow, std::move(nodes), std::move(wanted))) {}

Interpreter::~Interpreter() = default;
Interpreter::Interpreter(Interpreter&&) noexcept = default;

const std::vector<NodeId>& Interpreter::nodes() const {
  return compiled_->nodes;
}
const std::vector<ValueId>& Interpreter::feeds() const {
  return compiled_->feeds;
}
const std::vector<ValueId>& Interpreter::wanted() const {
  return compiled_->wanted;
}

void Interpreter::run(Environment& environment, const RunHooks& hooks) const {
  const Program& program = compiled_->program;
  for (ValueId value : feeds()) {
    ADA_ASSERT(environment.has(value), "'" + program.values[value].name + "' was not fed");
  }
  const FeedCopies copies(environment, compiled_->overwritten_feeds, wanted());
  std::vector<c10::IValue> results;
  for (const Stage& stage : compiled_->stages) {
    for (const StateLoad& state : stage.loads) load(state, program, hooks, environment);
    if (hooks.before) hooks.before(stage.step.node(), environment);
    stage.step.run(environment, results,
                   hooks.compute_type ? hooks.compute_type(stage.step.node()) : std::nullopt);
    bind_results(program, stage, results, hooks, environment);
    results.clear();
    for (ValueId value : stage.drops) environment.erase(value);
  }
  for (const StateLoad& state : compiled_->final_loads) load(state, program, hooks, environment);
}

}  // namespace adascale
