#include "adascale/tune/program_walk.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "adascale/core/passes.h"
#include "adascale/device/copy_ahead.h"
#include "adascale/graph/dataflow.h"
#include "adascale/tune/run_progress.h"

namespace adascale {

ProgramWalk::ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                         const std::vector<Inputs>& batches, ActivationStore store, int64_t state_bytes)
    : ProgramWalk(sim, blocks, batches, batches, std::move(store), state_bytes, /*has_one_input=*/true) {}

ProgramWalk::ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                         const std::vector<Inputs>& fp_batches, const std::vector<Inputs>& quant_batches,
                         ActivationStore store, int64_t state_bytes)
    : ProgramWalk(sim, blocks, fp_batches, quant_batches, std::move(store), state_bytes,
                  /*has_one_input=*/false) {}

ProgramWalk::ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                         const std::vector<Inputs>& fp_batches, const std::vector<Inputs>& quant_batches,
                         ActivationStore store, int64_t state_bytes, bool has_one_input)
    : sim_(sim),
      blocks_(blocks),
      store_(std::move(store)),
      fp_state_(sim.program().device, state_bytes, [this](ValueId value) { return load_fp(value); }),
      quant_state_(sim.program().device, state_bytes,
                   [this](ValueId value) { return sim_.load_state(value, SimMode::kWeightsOnly); }) {
  fp_hooks_.load_state = [this](ValueId value) { return fp_state_.get(value); };
  quant_hooks_.load_state = [this](ValueId value) { return quant_state_.get(value); };
  cut_stages(has_one_input);
  if (sim.options().in_place)
    for (const QuantizedWeight& weight : sim.weights())
      folded_storages_.insert(sim.program().state.at(weight.layer.parameters.front()).storage().data());
  std::unordered_map<const void*, at::Tensor> placed;  // both streams may hold the same tensor
  const auto place = [&](std::vector<Inputs> batches) {
    for (Inputs& batch : batches)
      for (c10::IValue& input : batch) {
        if (!input.isTensor()) continue;
        at::Tensor& tensor = placed[input.toTensor().unsafeGetTensorImpl()];
        if (!tensor.defined()) tensor = store_.bring(input.toTensor(), sim.program().device);
        input = tensor;
      }
    return batches;
  };
  feed(place(fp_batches), fp_);
  feed(place(quant_batches), quant_);
}

/// Batches without room in the store stay where they are until a stage reads them.
void ProgramWalk::feed(const std::vector<Inputs>& batches, std::vector<Environment>& stream) {
  const auto inputs = sim_.program().user_inputs();
  for (const Inputs& batch : batches) {
    check_inputs(sim_.program(), batch);
    stream.emplace_back(sim_.program());
    for (size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i]->value != kNone) stream.back().set(inputs[i]->value, batch[i]);
  }
}

at::Tensor ProgramWalk::load_fp(ValueId value) const {
  const auto kept = kept_.find(sim_.program().input_of(value)->name);
  return kept == kept_.end() ? sim_.load_state(value, SimMode::kFloat) : kept->second;
}

namespace {

/// All values that a block's nodes read, and those made by in-place writers ordered before them.
std::vector<ValueId> needs_of(const Program& program, const Dataflow& flow, const Block& block) {
  std::vector<ValueId> needs;
  const auto append = [&needs](const std::vector<ValueId>& values) {
    needs.insert(needs.end(), values.begin(), values.end());
  };
  for (const NodeId node : block.nodes) {
    append(program.nodes[node].reads());
    for (const NodeId before : flow.needs(node)) append(program.nodes[before].writes());
  }
  return needs;
}

/// By node: whether both streams may have one result of it. No quantized weight reaches it, nor an input that they
/// have each of their own, and nothing writes in place into what it reads or makes.
std::vector<bool> shared_nodes(const QuantizationSimModel& sim, const Dataflow& flow, bool has_one_input) {
  const Program& program = sim.program();
  std::vector<bool> is_own(program.values.size()), is_overwritten(program.values.size());
  std::unordered_set<const void*> weights;  // a buffer may show one under another name
  for (const QuantizedWeight& weight : sim.weights())
    weights.insert(program.state.at(weight.layer.parameters.front()).storage().data());
  for (const ProgramInput& input : program.inputs) {
    const auto state = program.state.find(input.name);
    if (input.kind != ProgramInput::Kind::kUser && state != program.state.end() &&
        weights.contains(state->second.storage().data()))
      is_own[input.value] = true;
  }
  for (const ProgramInput* input : program.user_inputs())
    if (input->value != kNone && !has_one_input) is_own[input->value] = true;
  for (NodeId node = 0; node < static_cast<NodeId>(program.nodes.size()); ++node)
    for (const ValueId value : flow.overwrites(node)) is_overwritten[flow.storage_root(value)] = true;
  std::vector<bool> is_shared(program.nodes.size());
  for (NodeId node = 0; node < static_cast<NodeId>(program.nodes.size()); ++node) {
    std::vector<ValueId> touched = program.nodes[node].reads();
    const std::vector<ValueId> made = program.nodes[node].writes();
    touched.insert(touched.end(), made.begin(), made.end());
    is_shared[node] = std::none_of(touched.begin(), touched.end(), [&](ValueId value) {
      return is_own[value] || is_overwritten[flow.storage_root(value)];
    });
    for (const ValueId value : made) is_own[value] = !is_shared[node];
  }
  return is_shared;
}

/// The nodes of each stage: those that a block needs and no earlier stage ran, shared ones first, then the block's.
std::vector<std::vector<NodeId>> stages_of(const Program& program, const Dataflow& flow,
                                           const std::vector<Block>& blocks,
                                           const std::vector<bool>& is_shared) {
  std::vector<std::vector<NodeId>> stages;
  std::set<NodeId> done;
  for (const Block& block : blocks) {
    done.insert(block.nodes.begin(), block.nodes.end());
    std::vector<NodeId> needs = flow.ancestors(needs_of(program, flow, block), done), own;
    done.insert(needs.begin(), needs.end());
    std::copy_if(needs.begin(), needs.end(), std::back_inserter(own),
                 [&](NodeId node) { return !is_shared[node]; });
    std::erase_if(needs, [&](NodeId node) { return !is_shared[node]; });
    stages.insert(stages.end(), {std::move(needs), std::move(own), block.nodes});
  }
  return stages;
}

}  // namespace

void ProgramWalk::cut_stages(bool has_one_input) {
  const Program& program = sim_.program();
  const Dataflow flow(program);
  const auto stages = stages_of(program, flow, blocks_, shared_nodes(sim_, flow, has_one_input));
  const int count = static_cast<int>(stages.size());
  std::vector<int> last_stage(program.values.size(), -1), made_in(program.values.size(), -1);
  for (int stage = 0; stage < count; ++stage) {
    for (const NodeId node : stages[stage]) {
      for (const ValueId value : program.nodes[node].reads()) last_stage[value] = stage;
      for (const ValueId value : program.nodes[node].writes()) made_in[value] = stage;
    }
  }
  // The loss compares a block's outputs, whether or not a later stage reads them.
  for (int block = 0; block < static_cast<int>(blocks_.size()); ++block)
    for (const ValueId value : blocks_[block].activations_out)
      last_stage[value] = std::max(last_stage[value], kPlaces * (block + 1));

  for (int stage = 0; stage < count; ++stage) {
    std::vector<ValueId> wanted, last_read;
    for (ValueId value = 0; value < static_cast<ValueId>(program.values.size()); ++value) {
      if (made_in[value] == stage && last_stage[value] > stage) wanted.push_back(value);
      if (made_in[value] < stage && last_stage[value] == stage) last_read.push_back(value);
    }
    stages_.push_back({Interpreter(program, flow, stages[stage], wanted), last_read});
  }
}

namespace {

/// While it lives, an environment has copies on the device of values that wait elsewhere.
class Borrowed {
 public:
  Borrowed(Environment& environment, const std::vector<ValueId>& values, const std::vector<at::Tensor>& there)
      : environment_(environment) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!there[i].defined() || there[i].is_same(environment.tensor(values[i]))) continue;
      waiting_.emplace_back(values[i], environment.tensor(values[i]));
      environment.set(values[i], there[i]);
    }
  }
  ~Borrowed() {
    for (auto& [value, tensor] : waiting_) environment_.set(value, std::move(tensor));
  }
  Borrowed(const Borrowed&) = delete;

 private:
  Environment& environment_;
  std::vector<std::pair<ValueId, at::Tensor>> waiting_;
};

}  // namespace

void ProgramWalk::run_stage(const Stage& stage, std::vector<Environment>& stream, const RunHooks& hooks,
                            const char* name, const Watch& watch) {
  if (stage.interpreter.nodes().empty()) return;
  const at::NoGradGuard no_grad;
  const std::vector<ValueId>& feeds = stage.interpreter.feeds();
  CopyAhead ahead(sim_.program().device, [&](int64_t batch) { return tensors_of(feeds, stream[batch]); });
  RunHooks own = hooks;
  Pass pass(name, batches());
  for (int64_t batch = 0; batch < batches(); ++batch) {
    if (watch)
      own.before = [&](NodeId node, const Environment& environment) { watch(batch, node, environment); };
    const std::vector<at::Tensor> there = ahead.get(batch);
    {
      const Borrowed borrowed(stream[batch], feeds, there);
      stage.interpreter.run(stream[batch], own);
    }
    keep_wanted(stage, there, stream[batch]);
    if (batch + 1 < batches()) ahead.start(batch + 1);
    pass.step();
  }
}

/// Copies views of memory that changes later: of a weight that a fold overwrites (e.g. its
/// transpose), and of tensors borrowed only for this batch.
void ProgramWalk::keep_wanted(const Stage& stage, const std::vector<at::Tensor>& there,
                              Environment& environment) {
  std::unordered_set<const void*> lent;
  const std::vector<at::Tensor> waiting = tensors_of(stage.interpreter.feeds(), environment);
  for (size_t i = 0; i < there.size(); ++i)
    if (there[i].defined() && !there[i].is_same(waiting[i])) lent.insert(there[i].storage().data());
  for (const ValueId value : stage.interpreter.wanted()) {
    if (!environment.get(value).isTensor()) continue;
    at::Tensor tensor = environment.tensor(value);
    const void* storage = tensor.storage().data();
    if (lent.contains(storage) || folded_storages_.contains(storage)) tensor = tensor.clone();
    environment.set(value, store_.keep(tensor));
  }
}

void ProgramWalk::drop_dead(const Stage& stage) {
  fp_state_.forget();
  quant_state_.forget();
  for (auto* stream : {&fp_, &quant_})
    for (Environment& environment : *stream)
      for (const ValueId value : stage.last_read) environment.erase(value);
}

void ProgramWalk::run_shared(const Stage& stage) {
  run_stage(stage, fp_, fp_hooks_, kBetweenBlocks);
  for (size_t batch = 0; batch < fp_.size(); ++batch)
    for (const ValueId value : stage.interpreter.wanted()) quant_[batch].set(value, fp_[batch].get(value));
  drop_dead(stage);
}

void ProgramWalk::reach(size_t block) {
  run_shared(stage_of(block, kShared));
  const Stage& stage = stage_of(block, kNeeds);
  run_stage(stage, fp_, fp_hooks_, kBetweenBlocks);
  fp_state_.forget();
  run_stage(stage, quant_, quant_hooks_, kBetweenBlocks);
  drop_dead(stage);
}

void ProgramWalk::run_fp(size_t block, const Watch& watch) {
  run_stage(stage_of(block, kBlock), fp_, fp_hooks_, kFloatOutputs, watch);
  fp_state_.forget();
  if (sim_.options().in_place) keep_float_weights(block);
}

void ProgramWalk::leave(size_t block) {
  drop_dead(stage_of(block, kBlock));
}

namespace {

/// By any node: a norm or a matmul that shares a layer's weight needs the FP weight as a layer does.
bool is_read_outside(const Program& program, const Layer& layer, const std::set<NodeId>& inside) {
  return std::any_of(layer.weights.begin(), layer.weights.end(), [&](ValueId weight) {
    const std::vector<NodeId>& users = program.values[weight].users;
    return std::any_of(users.begin(), users.end(), [&](NodeId node) { return !inside.contains(node); });
  });
}

}  // namespace

void ProgramWalk::keep_float_weights(size_t block) {
  const Program& program = sim_.program();
  const std::set<NodeId> inside(blocks_[block].nodes.begin(), blocks_[block].nodes.end());
  for (const QuantizedWeight& weight : sim_.weights()) {
    const auto& nodes = weight.layer.nodes;
    const auto is_inside = [&](NodeId node) { return inside.contains(node); };
    if (weight.encoding || std::none_of(nodes.begin(), nodes.end(), is_inside)) continue;
    if (!is_read_outside(program, weight.layer, inside)) continue;
    const at::Tensor kept = program.state.at(weight.layer.parameters.front()).clone();
    for (const std::string& name : weight.layer.parameters) kept_.emplace(name, kept);
  }
}

void ProgramWalk::run_quant(size_t block, const RunHooks& hooks) {
  if (!hooks.load_state) quant_state_.forget();  // weights were folded since
  run_stage(stage_of(block, kBlock), quant_, hooks.load_state ? hooks : quant_hooks_, kQuantizedOutputs);
}

}  // namespace adascale
