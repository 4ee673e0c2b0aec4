#include "adascale/sim/layer_kind.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

#include <set>

namespace adascale {
namespace {

/// Whether any overload has the argument.
bool has_argument(const std::string& op, const std::string& argument) {
  for (const char* overload : {"", "input"}) {
    const auto found = c10::Dispatcher::singleton().findSchema({op, overload});
    if (found && found->schema().argumentIndexWithName(argument)) return true;
  }
  return false;
}

TEST(LayerKind, EveryRowIsAnOperatorWithThoseArguments) {
  for (const LayerKind& kind : layer_kinds()) {
    EXPECT_TRUE(has_argument(kind.op, kind.weight)) << kind.op << " " << kind.weight;
    EXPECT_TRUE(kind.input.empty() || has_argument(kind.op, kind.input)) << kind.op << " " << kind.input;
  }
}

TEST(LayerKind, RowsAreFoundByNameAndByOperatorAndWeight) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const LayerKind& kind : layer_kinds()) {
    EXPECT_EQ(layer_kind_named(kind.name)->name, kind.name);
    const auto of_op = layer_kinds_of_op(kind.op);
    EXPECT_NE(std::find(of_op.begin(), of_op.end(), &kind), of_op.end()) << kind.op;
    EXPECT_TRUE(seen.insert({kind.op, kind.weight}).second) << kind.op << " " << kind.weight;
  }
}

TEST(LayerKind, AnOverloadIsItsOperator) {
  EXPECT_EQ(layer_kinds_of_op("aten::conv2d.padding"), std::vector{layer_kind_named("Conv2d")});
}

TEST(LayerKind, OtherOperatorsAreNone) {
  EXPECT_TRUE(layer_kinds_of_op("aten::relu").empty());
  EXPECT_TRUE(layer_kinds_of_op("aten::conv2").empty());
  EXPECT_EQ(layer_kind_named("linear"), nullptr);
}

}  // namespace
}  // namespace adascale
