#include "adascale/quant/layer_kind.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

#include <set>

namespace adascale {
namespace {

TEST(LayerKind, EveryRowIsAnOperatorWithThatWeightArgument) {
  for (const LayerKind& kind : layer_kinds()) {
    const auto op = c10::Dispatcher::singleton().findSchema({kind.op, ""});
    ASSERT_TRUE(op.has_value()) << kind.op;
    EXPECT_TRUE(op->schema().argumentIndexWithName(kind.weight).has_value()) << kind.op << " " << kind.weight;
  }
}

TEST(LayerKind, RowsAreFoundByNameAndByOperator) {
  std::set<std::string> names;
  for (const LayerKind& kind : layer_kinds()) {
    EXPECT_EQ(layer_kind_named(kind.name), &kind);
    EXPECT_EQ(layer_kind_of_op(kind.op), &kind);
    EXPECT_TRUE(names.insert(kind.name).second);
  }
}

TEST(LayerKind, AnOverloadIsItsOperator) {
  EXPECT_EQ(layer_kind_of_op("aten::conv2d.padding"), layer_kind_named("Conv2d"));
}

TEST(LayerKind, OtherOperatorsAreNone) {
  EXPECT_EQ(layer_kind_of_op("aten::relu"), nullptr);
  EXPECT_EQ(layer_kind_of_op("aten::conv2"), nullptr);
  EXPECT_EQ(layer_kind_named("linear"), nullptr);
}

}  // namespace
}  // namespace adascale
