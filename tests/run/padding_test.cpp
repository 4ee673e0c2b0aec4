#include "adascale/run/padding.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <map>
#include <set>

#include "adascale/io/pt2.h"
#include "run/run_case.h"

namespace adascale {
namespace {

/// Rows of ids from 1 on, 8 tokens each, of which the last ones are padding.
Batches padded(const Program& program, const std::vector<int64_t>& lengths, int64_t batch_size) {
  const auto count = static_cast<int64_t>(lengths.size());
  const at::Tensor ids = at::arange(1, 8 * count + 1).view({count, 8}) % 19 + 1,
                   mask = at::zeros({count, 8}, at::kLong);
  for (int64_t row = 0; row < count; ++row) mask[row].slice(0, 0, lengths[row]).fill_(1);
  Batches batches{{}, 0, count, batch_size};
  for (int64_t start = 0; start < count; start += batch_size) {
    const auto cut = [&](const at::Tensor& x) {
      return x.slice(0, start, std::min(count, start + batch_size));
    };
    batches.inputs.push_back(bind_inputs(
        program, std::map<std::string, at::Tensor>{{"input_ids", cut(ids)}, {"attention_mask", cut(mask)}}));
  }
  batches.count = static_cast<int64_t>(batches.inputs.size());
  return batches;
}

/// Each sample's tokens that count, in some order.
std::multiset<std::vector<int64_t>> samples_of(const Batches& batches) {
  std::multiset<std::vector<int64_t>> found;
  for (const Inputs& batch : batches.inputs)
    for (int64_t row = 0; row < samples_in(batch); ++row) {
      const at::Tensor ids = batch[0].toTensor()[row].masked_select(batch[1].toTensor()[row].ne(0));
      found.insert({ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()});
    }
  return found;
}

std::multiset<std::pair<int64_t, int64_t>> shapes_of(const Batches& batches) {
  std::multiset<std::pair<int64_t, int64_t>> found;
  for (const Inputs& batch : batches.inputs) {
    EXPECT_EQ(batch[0].toTensor().sizes(), batch[1].toTensor().sizes());
    found.insert({batch[0].toTensor().size(0), batch[0].toTensor().size(1)});
  }
  return found;
}

class CutPadding : public ::testing::Test {
 protected:
  const Program program_ = load_program(testing::model_file("language"));
};

TEST_F(CutPadding, TextsOfLikeLengthShareABatch) {
  Batches batches = padded(program_, {8, 2, 5, 3, 6, 2, 4}, 2), other = batches;
  const auto before = samples_of(batches);
  EXPECT_EQ(cut_padding(program_, 0, batches), "texts of like length share a batch, padded to 2 to 8 tokens");
  EXPECT_EQ(shapes_of(batches), (std::multiset<std::pair<int64_t, int64_t>>{{2, 2}, {2, 4}, {2, 6}, {1, 8}}));
  EXPECT_EQ(samples_of(batches), before);
  cut_padding(program_, 0, other);
  for (size_t i = 0; i < other.inputs.size(); ++i)
    EXPECT_TRUE(other.inputs[i][0].toTensor().equal(batches.inputs[i][0].toTensor()))
        << "one seed, one order";
}

TEST_F(CutPadding, AnOrderIsDrawn) {
  std::set<int64_t> first;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Batches batches = padded(program_, {8, 2, 5, 3, 6, 2, 4, 7}, 2);
    cut_padding(program_, seed, batches);
    first.insert(batches.inputs.front()[0].toTensor().size(1));
  }
  EXPECT_EQ(first, (std::set<int64_t>{2, 4, 6, 8}));
}

TEST_F(CutPadding, NothingChangesWhereNothingCanBeCut) {
  for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{8, 8, 8}, {8, 2, 8}}) {
    Batches batches = padded(program_, lengths, lengths[1] == 2 ? 3 : 1);
    const at::Tensor ids = batches.inputs.front()[0].toTensor();
    EXPECT_EQ(cut_padding(program_, 0, batches), "");
    EXPECT_TRUE(batches.inputs.front()[0].toTensor().is_same(ids));
  }
}

TEST_F(CutPadding, PaddingOnTheLeftStays) {
  Batches batches = padded(program_, {3, 4}, 1);
  for (Inputs& batch : batches.inputs) batch[1] = batch[1].toTensor().flip(1);
  EXPECT_EQ(cut_padding(program_, 0, batches), "");
}

}  // namespace
}  // namespace adascale
