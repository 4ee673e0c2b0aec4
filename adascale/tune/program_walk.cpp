#include "adascale/tune/program_walk.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <set>

#include "adascale/core/kept_memory.h"
#include "adascale/core/passes.h"
#include "adascale/device/copy_ahead.h"
#include "adascale/sim/token_logits.h"
#include "adascale/tune/run_progress.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {

ProgramWalk::ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                         const std::vector<Inputs>& batches, ActivationStore store, int64_t state_bytes,
                         c10::ScalarType compute_type)
    : ProgramWalk(sim, blocks, batches, batches, std::move(store), state_bytes, compute_type,
                  /*has_one_input=*/true) {}

ProgramWalk::ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                         const std::vector<Inputs>& fp_batches, const std::vector<Inputs>& quant_batches,
                         ActivationStore store, int64_t state_bytes, c10::ScalarType compute_type)
    : ProgramWalk(sim, blocks, fp_batches, quant_batches, std::move(store), state_bytes, compute_type,
                  /*has_one_input=*/false) {}

ProgramWalk::ProgramWalk(const QuantizationSimModel& sim, const std::vector<Block>& blocks,
                         const std::vector<Inputs>& fp_batches, const std::vector<Inputs>& quant_batches,
                         ActivationStore store, int64_t state_bytes, c10::ScalarType compute_type,
                         bool has_one_input)
    : sim_(sim),
      blocks_(blocks),
      store_(std::move(store)),
      lowered_{.type = compute_type},
      fp_state_(sim.program().device, state_bytes, [this](ValueId value) { return load_fp(value); }),
      quant_state_(sim.program().device, state_bytes,
                   [this](ValueId value) { return sim_.load_state(value, SimMode::kWeightsOnly); }) {
  fp_hooks_.load_state = [this](ValueId value) { return fp_state_.get(value); };
  std::set<int32_t> decided;  // by the first block that trains a weight
  for (const Block& block : blocks) {
    std::vector<int32_t> own = weights_to_train(sim, block);
    std::erase_if(own, [&](int32_t weight) { return !decided.insert(weight).second; });
    lowered_.add(sim, own, block);
  }
  fp_hooks_.compute_type = [this](NodeId node) { return lowered_.type_of(node); };
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
  for (const Inputs& batch : fp_batches) {
    const at::Tensor mask = padding_mask(sim.program(), batch);
    masks_.push_back(mask.defined() ? mask.to(sim.program().device) : mask);
  }
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
  const at::Tensor state = kept == kept_.end() ? sim_.load_state(value, SimMode::kFloat) : kept->second;
  return lowered_.weights.contains(value) ? state.to(lowered_.type) : state;
}

void ProgramWalk::cut_stages(bool has_one_input) {
  const Program& program = sim_.program();
  const Dataflow flow(program);
  const StageNodes stages = stages_of(program, flow, blocks_, shared_nodes(sim_, flow, has_one_input));
  const std::vector<int> last_stage = last_stages(program, stages);
  std::vector<std::vector<ValueId>> compared = only_compared(blocks_, last_stage);
  std::vector<int> made_in(program.values.size(), -1);
  for (size_t stage = 0; stage < stages.size(); ++stage)
    for (const NodeId node : stages[stage])
      for (const ValueId value : program.nodes[node].writes()) made_in[value] = static_cast<int>(stage);

  for (int stage = 0; stage < static_cast<int>(stages.size()); ++stage) {
    std::vector<ValueId> read_later, last_read;
    for (ValueId value = 0; value < static_cast<ValueId>(program.values.size()); ++value) {
      if (made_in[value] == stage && last_stage[value] > stage) read_later.push_back(value);
      if (made_in[value] < stage && last_stage[value] == stage) last_read.push_back(value);
    }
    std::vector<ValueId> wanted = read_later, only;
    const Block* block = nullptr;
    if (stage % kStagePlaces == kBlock) {
      block = &blocks_[stage / kStagePlaces];
      only = std::move(compared[stage / kStagePlaces]);
    }
    wanted.insert(wanted.end(), only.begin(), only.end());
    Interpreter interpreter(program, flow, stages[stage], std::move(wanted));
    stages_.push_back(
        {std::move(interpreter), std::move(read_later), std::move(last_read), std::move(only), block});
  }
}

namespace {

int64_t bytes_of(const std::vector<at::Tensor>& tensors) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors)
    if (tensor.defined()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

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
                            const char* name, const Watch& watch, const See& see) {
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
    if (see) see(batch, stream[batch]);
    if (&stream == &quant_)
      for (const ValueId value : stage.only_compared) stream[batch].erase(value);
    keep_wanted(stage, there, stream[batch]);
    if (batch + 1 < batches()) ahead.start(batch + 1);
    KeptMemory::give_back_holes();  // where nothing is kept too
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
  const auto own = [&](ValueId value) {
    const at::Tensor tensor = environment.tensor(value);
    const void* storage = tensor.storage().data();
    return lent.contains(storage) || folded_storages_.contains(storage) ? tensor.clone() : tensor;
  };
  for (const ValueId value : stage.read_later)
    if (environment.get(value).isTensor()) environment.set(value, store_.keep(own(value)));
  const bool anew =
      stage.block != nullptr &&
      may_compute_anew(sim_.program(), *stage.block, stage.only_compared,
                       bytes_of(tensors_of(stage.only_compared, environment)), bytes_of(waiting));
  for (const ValueId value : stage.only_compared) {
    if (!environment.get(value).isTensor()) continue;
    const at::Tensor kept = anew ? store_.keep_in_memory(own(value)) : store_.keep(own(value));
    if (kept.defined())
      environment.set(value, kept);
    else
      environment.erase(value);
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
  const Stage& stage = stage_of(block, kBlock);
  drop_dead(stage);
  if (keeps_last_outputs_ && block + 1 == blocks_.size()) return;
  for (Environment& environment : fp_)
    for (const ValueId value : stage.only_compared) environment.erase(value);
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

void ProgramWalk::run_quant(size_t block, const RunHooks& hooks, const See& see) {
  if (!see && stage_of(block, kBlock).read_later.empty()) return;
  if (!hooks.load_state) quant_state_.forget();  // weights were folded since
  run_stage(stage_of(block, kBlock), quant_, hooks.load_state ? hooks : quant_hooks_, kQuantizedOutputs, {},
            see);
}

std::vector<at::Tensor> ProgramWalk::fp_outputs(size_t block, int64_t batch) {
  const std::vector<ValueId>& outputs = blocks_[block].activations_out;
  std::vector<at::Tensor> kept = tensors_of(outputs, fp_[batch]);
  if (std::all_of(kept.begin(), kept.end(), [](const at::Tensor& tensor) { return tensor.defined(); }))
    return kept;
  const at::NoGradGuard no_grad;
  const Interpreter& interpreter = stage_of(block, kBlock).interpreter;
  Environment anew(sim_.program());
  for (const ValueId feed : interpreter.feeds()) {
    const c10::IValue& waits = fp_[batch].get(feed);
    anew.set(feed, waits.isTensor() ? waits.toTensor().to(sim_.program().device) : waits);
  }
  interpreter.run(anew, fp_hooks_);
  return tensors_of(outputs, anew);
}

}  // namespace adascale
