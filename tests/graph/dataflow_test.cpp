#include "adascale/graph/dataflow.h"

#include <algorithm>

#include "graph/programs.h"

namespace adascale::testing {
namespace {

bool has(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

struct DataflowTest : ::testing::Test {
  Program program = load_named("in_place");
  Dataflow dataflow{program};
  NodeId node(const std::string& name) const { return find_node(program, name); }
  ValueId value(const std::string& name) const { return program.find_value(name); }
};

TEST_F(DataflowTest, views_and_in_place_results_share_their_base) {
  for (const char* name : {"select", "select_1", "fill_", "slice_1", "add__1", "copy_"}) {
    EXPECT_EQ(dataflow.storage_root(value(name)), value("linear")) << name;
  }
  EXPECT_EQ(dataflow.storage_root(value("relu_")), value("clone"));
  EXPECT_EQ(dataflow.storage_root(value("add_")), value("x"));
  EXPECT_EQ(dataflow.storage_root(value("clone")), value("clone"));
}

TEST_F(DataflowTest, dropout_in_eval_mode_hands_its_operand_on) {
  EXPECT_EQ(dataflow.storage_root(value("dropout")), value("mul"));
}

TEST_F(DataflowTest, readers_wait_for_writers_and_writers_for_readers) {
  EXPECT_TRUE(has(dataflow.needs(node("fill_")), node("select")));   // the write comes after the earlier view
  EXPECT_TRUE(has(dataflow.needs(node("slice_1")), node("fill_")));  // a later view has the written values
  EXPECT_TRUE(has(dataflow.needs(node("clone")), node("copy_")));
  EXPECT_FALSE(has(dataflow.needs(node("mul_")), node("copy_")));
}

TEST_F(DataflowTest, an_output_takes_the_writes_that_follow_its_producer) {
  const auto nodes = dataflow.ancestors({value("linear")}, {});
  EXPECT_TRUE(has(nodes, node("fill_")));
  EXPECT_TRUE(has(nodes, node("copy_")));
  EXPECT_FALSE(has(nodes, node("clone")));
  EXPECT_TRUE(std::is_sorted(nodes.begin(), nodes.end()));
}

TEST_F(DataflowTest, ancestors_stop_at_what_is_done) {
  const auto nodes = dataflow.ancestors({value("relu_")}, {node("clone")});
  EXPECT_FALSE(has(nodes, node("clone")));
  EXPECT_TRUE(has(nodes, node("mul_")));
  EXPECT_TRUE(
      dataflow.ancestors({value("linear")}, {node("linear"), node("fill_"), node("copy_"), node("add__1")})
          .empty());
}

TEST(Dataflow, a_functional_program_has_the_order_of_its_edges_only) {
  const Program program = load_named("mlp");
  const Dataflow dataflow(program);
  EXPECT_TRUE(dataflow.needs(0).empty());
  EXPECT_EQ(dataflow.needs(1), std::vector<NodeId>{0});
  EXPECT_EQ(dataflow.needs(2), std::vector<NodeId>{1});
}

}  // namespace
}  // namespace adascale::testing
