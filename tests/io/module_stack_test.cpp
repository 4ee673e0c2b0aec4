#include "adascale/io/module_stack.h"

#include <gtest/gtest.h>

namespace adascale::testing {
namespace {

TEST(DottedPath, takes_every_spelling_of_torch_export) {
  EXPECT_EQ(dotted_path(""), "");
  EXPECT_EQ(dotted_path("L['self']"), "");
  EXPECT_EQ(dotted_path("L__self__"), "");
  EXPECT_EQ(dotted_path("encoder.layer.0"), "encoder.layer.0");
  EXPECT_EQ(dotted_path("L['self'].encoder.layer[0]"), "encoder.layer.0");
  EXPECT_EQ(dotted_path("L['self'].blocks['down'].conv"), "blocks.down.conv");
}

TEST(ModuleStack, builds_calls_parents_first) {
  Program program;
  ModuleStackReader reader(program);
  EXPECT_EQ(reader.innermost(""), 0);
  EXPECT_EQ(reader.innermost("L__self__,,m.Net;k1,layer.0,m.Layer;k2,layer.0.fc,torch.nn.Linear"), 2);
  EXPECT_EQ(reader.innermost("L__self__,,m.Net;k1,layer.0,m.Layer"), 1);
  EXPECT_EQ(reader.innermost("L__self__,,m.Net;k1@1,layer.0,m.Layer"), 3);
  EXPECT_EQ(program.calls[0].type, "m.Net");
  EXPECT_EQ(program.calls[2].parent, 1);
  EXPECT_EQ(program.calls[3].label(), "layer.0@1");
}

TEST(ModuleStack, a_module_shared_by_two_parents_has_a_call_under_each) {
  Program program;
  ModuleStackReader reader(program);
  const CallId first = reader.innermost("r,,m.Net;a,a,m.A;s,shared,m.S");
  const CallId second = reader.innermost("r,,m.Net;b,b,m.B;s,shared,m.S");
  EXPECT_NE(first, second);
  EXPECT_NE(program.calls[first].key, program.calls[second].key);
  EXPECT_NE(program.calls[first].parent, program.calls[second].parent);
  EXPECT_EQ(reader.innermost("r,,m.Net;b,b,m.B;s,shared,m.S"), second);
}

TEST(ModuleStack, nodes_that_torch_export_added_belong_to_the_root) {
  Program program;
  const std::string hook = "_empty_nn_module_stack_from_metadata_hook";
  EXPECT_EQ(ModuleStackReader(program).innermost(hook + "," + hook + "," + hook), 0);
  EXPECT_EQ(program.calls.size(), 1U);
}

TEST(InnermostSource, skips_the_library_and_takes_the_last_line_of_the_model) {
  EXPECT_EQ(innermost_source(
                "File \"/home/me/net.py\", line 17, in forward\n    y = self.fc(x)\n"
                "  File \"/home/me/layer.py\", line 4, in forward\n    return self.lin(x)\n"
                "  File \"/usr/lib/site-packages/torch/nn/modules/linear.py\", line 134, in forward\n"),
            "layer.py:4");
  EXPECT_EQ(innermost_source(""), "");
  EXPECT_EQ(innermost_source("File \"cut"), "");
}

}  // namespace
}  // namespace adascale::testing
