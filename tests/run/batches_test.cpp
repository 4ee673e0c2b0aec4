#include "adascale/run/batches.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "graph/programs.h"

namespace adascale {
namespace {

/// Sizes of the pieces; all of them together must be the batch.
std::vector<int64_t> pieces(const Program& program, int64_t samples, int64_t at_most) {
  const at::Tensor x = at::arange(6.0f * samples).view({samples, 6});
  std::vector<at::Tensor> parts;
  std::vector<int64_t> sizes;
  for (const Inputs& piece : cut_batch(program, {x}, at_most)) {
    parts.push_back(piece[0].toTensor());
    sizes.push_back(parts.back().size(0));
  }
  EXPECT_TRUE(at::cat(parts).equal(x));
  return sizes;
}

TEST(CutBatch, PiecesAreEqualAndTheProgramTakesThem) {
  const Program program = testing::load_named("mlp_dynamic");  // 3 to 16 samples
  EXPECT_EQ(pieces(program, 12, 4), (std::vector<int64_t>{4, 4, 4}));
  EXPECT_EQ(pieces(program, 12, 5), (std::vector<int64_t>{6, 6})) << "the next that divides it";
  EXPECT_EQ(pieces(program, 12, 0), (std::vector<int64_t>{3, 3, 3, 3})) << "one at a time is too few";
  EXPECT_EQ(pieces(program, 13, 4), std::vector<int64_t>{13}) << "nothing divides it";
  EXPECT_EQ(pieces(program, 12, 100), std::vector<int64_t>{12});
}

TEST(CutBatch, AFixedSizeStaysWhole) {
  EXPECT_EQ(pieces(testing::load_named("mlp"), 5, 1), std::vector<int64_t>{5});
}

}  // namespace
}  // namespace adascale
