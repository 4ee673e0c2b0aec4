#include "adascale/run/call_text.h"

#include "adascale/core/spelling.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

class CallText : public RunTest {
 protected:
  std::string call(const std::function<void(QuantizeRequest&)>& change, Spelling spelling) const {
    QuantizeRequest asked = request();
    change(asked);
    const SpellingScope scope(spelling);
    return call_of(plan_run(asked, {pt2_door()}));
  }
};

void ask(QuantizeRequest& asked) {
  asked.sim.default_param_bw = 3;
  asked.sim.group_size = 8;
  asked.sim.symmetric = false;
  asked.training.seed = 0;   // as it is without being given
  asked.sim.device = "cpu";  // of this machine
  asked.training.blocks = {"blocks.1"};
  asked.formats = {"safetensors", "encodings"};
}

TEST(NameOf, IsTheLastPart) {
  EXPECT_EQ(name_of("/home/me/model.pt2"), "model.pt2");
  EXPECT_EQ(name_of("/home/me/folder/"), "folder");
  EXPECT_EQ(name_of("package.module:function"), "package.module:function");
}

TEST(HowToLoad, AnOddPrefixIsNotPutIntoALine) {
  const ExportFormat format{.name = "f", .how_to_load = "load PREFIX.f"};
  EXPECT_EQ(how_to_load(format, "model_1.5-b"), "load model_1.5-b.f");
  EXPECT_EQ(how_to_load(format, "a;b"), "load PREFIX.f");
  EXPECT_EQ(how_to_load(format, "-rf"), "load PREFIX.f");
}

TEST_F(CallText, ACommandHasWhatWasAskedFor) {
  EXPECT_EQ(call([](QuantizeRequest&) {}, Spelling::kFlag),
            "adascale quantize blocks.pt2 --data calib.safetensors --iterations 2 --output-dir out");
  const std::string text = call(ask, Spelling::kFlag);
  for (const char* part : {"--param-bw 3", "--group-size 8", "--no-symmetric", "--blocks blocks.1",
                           "--format safetensors", "--format encodings"})
    EXPECT_HAS(text, part);
  for (const char* part : {"--seed", "--device"}) EXPECT_EQ(text.find(part), std::string::npos) << text;
}

TEST_F(CallText, PythonGetsItsCall) {
  const std::string text = call(ask, Spelling::kKeyword);
  EXPECT_TRUE(text.starts_with("adascale.quantize(\"blocks.pt2\", \"out\", \"calib.safetensors\", ")) << text;
  for (const char* part :
       {"param_bw=3", "symmetric=False", "blocks=[\"blocks.1\"]", "formats=[\"safetensors\", \"encodings\"]"})
    EXPECT_HAS(text, part);
}

TEST_F(CallText, WhatAShellCouldMisreadIsAPlaceholder) {
  const auto odd = [&](QuantizeRequest& asked) {
    asked.model = path("x'; rm -rf $HOME #.pt2");
    fs::copy_file(model_file("blocks"), asked.model);
  };
  EXPECT_TRUE(call(odd, Spelling::kFlag).starts_with("adascale quantize MODEL --data "))
      << "no quoting helps";
}

}  // namespace
}  // namespace adascale::testing
