// Outputs of the full-precision model for batches that come again.
#include "adascale/tune/float_outputs.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <numeric>

#include "adascale/graph/dataflow.h"
#include "adascale/tune/last_stage_plan.h"
#include "adascale/tune/output_loss.h"
#include "tune/seed_case.h"

namespace adascale {
namespace {

using testing::seed_batches;
using testing::seed_sim;

constexpr int64_t kAllInTheFile = 0;

/// Of a model of its own, whose weights may be changed.
class Outputs {
 public:
  explicit Outputs(size_t last_block, FloatOutputs::ComputeType type = {})
      : sim_(seed_sim()),
        output_(compared_output(sim_.program()).value),
        ends_(ends_of_blocks(sim_, blocks_to_train(sim_.program(), {}))),
        outputs_(sim_, Dataflow(sim_.program()).ancestors({output_}, {}), ends_.at(last_block), output_,
                 std::move(type), ActivationStore(kAllInTheFile)) {}

  at::Tensor of(size_t number, const Inputs& batch) { return outputs_.of(number, batch); }
  at::Tensor anew(const Inputs& batch) const {
    const at::NoGradGuard no_grad;
    return run_program(sim_.program(), batch).front().toTensor();
  }
  void take(size_t number, const Environment& there) { outputs_.take(number, there); }
  const std::vector<NodeId>& ends() const { return ends_; }
  const Program& program() const { return sim_.program(); }
  void scale(const std::string& name, double factor) {
    const at::NoGradGuard no_grad;
    sim_.program().state.at(name).mul_(factor);
  }

 private:
  QuantizationSimModel sim_;
  ValueId output_;
  std::vector<NodeId> ends_;
  FloatOutputs outputs_;
};

TEST(FloatOutputs, AreThoseOfTheProgram) {
  const std::vector<Inputs> batches = seed_batches(2);
  for (const size_t last_block : {0, 3, 4}) {  // nothing but the program's end is behind the last one
    Outputs outputs(last_block);
    for (const int turn : {1, 2})
      for (const size_t batch : {1, 0})
        EXPECT_TRUE(outputs.of(batch, batches[batch]).equal(outputs.anew(batches[batch])))
            << last_block << " " << turn;
  }
}

TEST(FloatOutputs, AreComputedInTheTypeGivenBeforeTheEndAndBehindIt) {
  const Inputs batch = seed_batches(1).front();
  Outputs outputs(2);
  const std::vector<NodeId> blocks = outputs.ends();
  for (const auto& [first, last] :
       {std::pair(NodeId{0}, blocks.at(0)), std::pair(blocks.at(3), blocks.at(4))}) {
    Outputs lowered(2, [first, last](NodeId node) {
      return node > first && node <= last ? std::optional(at::kBFloat16) : std::nullopt;
    });
    const at::Tensor exact = outputs.of(0, batch), rounded = lowered.of(0, batch);
    EXPECT_FALSE(rounded.equal(exact)) << first;
    EXPECT_LT(rounded.sub(exact).norm().div(exact.norm()).item<double>(), 0.02) << first;
  }
}

TEST(FloatOutputs, NodesUpToTheEndRunOnce) {
  const Inputs batch = seed_batches(1).front();
  Outputs outputs(2);
  const at::Tensor first = outputs.of(0, batch);
  outputs.scale("linear_blocks.1.fc1.weight", 2);
  EXPECT_FALSE(outputs.anew(batch).equal(first));
  EXPECT_TRUE(outputs.of(0, batch).equal(first));
  outputs.scale("linear_blocks.4.fc1.weight", 2);
  EXPECT_FALSE(outputs.of(0, batch).equal(first));
}

TEST(FloatOutputs, NodesThatRanElsewhereDoNotRun) {
  const Inputs batch = seed_batches(1).front();
  Outputs outputs(2);
  Environment all(outputs.program()), none(outputs.program());
  feed_inputs(outputs.program(), batch, all);
  {
    const at::NoGradGuard no_grad;
    std::vector<ValueId> every;
    for (const Node& node : outputs.program().nodes)
      for (const ValueId value : node.writes()) every.push_back(value);
    std::vector<NodeId> nodes(outputs.program().nodes.size());
    std::iota(nodes.begin(), nodes.end(), 0);
    Interpreter(outputs.program(), nodes, every).run(all);
  }
  const at::Tensor first = outputs.anew(batch);
  outputs.take(0, all);
  outputs.take(1, none);
  outputs.scale("linear_blocks.1.fc1.weight", 2);
  EXPECT_TRUE(outputs.of(0, batch).equal(first));
  EXPECT_TRUE(outputs.of(1, batch).equal(outputs.anew(batch)));
}

}  // namespace
}  // namespace adascale
