#include "adascale/tune/activation_store.h"

#include <ATen/ops/randn.h>

#include "adascale/tune/adascale.h"
#include "formats/model_files.h"

namespace adascale {
namespace {

constexpr int64_t kBytes = 4096 * 4;

TEST(ActivationStore, FillsMemoryThenTheFile) {
  ActivationStore store(2 * kBytes);
  const at::Tensor x = at::randn({4096});
  at::Tensor a = store.keep(x);
  EXPECT_EQ(a.const_data_ptr(), x.const_data_ptr()) << "no copy in memory";
  const at::Tensor b = store.keep(at::randn({4096})), c = store.keep(x);
  EXPECT_EQ(store.bytes_in_memory(), 2 * kBytes);
  EXPECT_EQ(store.bytes_in_file(), kBytes);
  EXPECT_TRUE(c.equal(x));
  a = at::Tensor();
  EXPECT_EQ(store.bytes_in_memory(), kBytes) << "room is given back";
}

TEST(ActivationStore, APartDoesNotHoldTheWhole) {
  ActivationStore store(kBytes);
  const at::Tensor whole = at::randn({1000, 1000});
  const at::Tensor kept = store.keep(whole[7]);
  EXPECT_TRUE(kept.equal(whole[7]));
  EXPECT_NE(kept.const_data_ptr(), whole[7].const_data_ptr());
}

TEST(ActivationStore, WhatAnExpandedTensorRepeatsIsKeptOnce) {
  ActivationStore store(0);
  const at::Tensor repeated = at::randn({8}).expand({1000, 8});
  const at::Tensor kept = store.keep(repeated);
  EXPECT_TRUE(kept.equal(repeated));
  EXPECT_EQ(kept.strides(), repeated.strides());
  EXPECT_GT(store.bytes_in_file(), 0);
  EXPECT_LT(store.bytes_in_file(), 1 << 14);
}

TEST(ActivationStore, TheFileGivesTheSameBytesAsMemory) {
  std::vector<std::vector<at::Tensor>> weights;
  for (const int64_t memory : {4096, 0}) {
    QuantizationSimModel sim(load_program(testing::model_file("seed")), testing::w4a16());
    at::manual_seed(3);
    std::vector<Inputs> batches;
    for (int i = 0; i < 4; ++i) batches.push_back({at::randn({3, 3, 32, 64})});
    apply_adascale(sim, batches,
                   AdaScaleOptions{.num_epochs = 3, .held_out_batches = 1, .activation_memory = memory});
    weights.emplace_back();
    for (const QuantizedWeight& weight : sim.weights()) weights.back().push_back(weight.encoding->codes);
  }
  for (size_t i = 0; i < weights[0].size(); ++i) EXPECT_TRUE(weights[0][i].equal(weights[1][i])) << i;
}

}  // namespace
}  // namespace adascale
