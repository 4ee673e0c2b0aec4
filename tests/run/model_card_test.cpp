#include "adascale/run/model_card.h"

#include "run/run_case.h"

namespace adascale::testing {
namespace {

class ModelCard : public RunTest {
 protected:
  RunPlan plan() const { return plan_run(request(), {pt2_door()}); }
};

AdaScaleReport report() {
  AdaScaleReport report;
  report.blocks = {{.name = "blocks.0",
                    .layers = {{.name = "fc_1", .sqnr_db = 21.5}},
                    .loss_before = 2,
                    .loss_after = 1,
                    .held_out_before = 2,
                    .held_out_after = 1.5}};
  return report;
}

TEST_F(ModelCard, OnlyFoldersHaveOne) {
  const ExportFormat file{.name = "pt2"}, folder{.name = "hf", .is_folder = true};
  EXPECT_FALSE(has_model_card({{&file, ""}}));
  EXPECT_TRUE(has_model_card({{&file, ""}, {&folder, ""}}));
}

TEST_F(ModelCard, SaysWhatAndHowAndHowGood) {
  const std::string card = model_card(plan(), report());
  EXPECT_TRUE(card.starts_with("---\ntags:\n- adascale\n---\n<!-- adascale model card")) << card;
  for (const char* part :
       {"# blocks.pt2, quantized", "| Original | blocks.pt2 |",
        "| Weights | 4 layers with int4 symmetric per channel |", "| Activations | in full precision |",
        "| In full precision | head |", "2 iterations a block; seed 0", "| calib.safetensors: 20 samples |",
        "against rounding to nearest | 50 % less (median of 1 block) |",
        "that training did not see | 25 % less |", "fc\\_1, SQNR 21.5 dB",
        "```\nadascale quantize blocks.pt2 --data calib.safetensors --iterations 2 --output-dir out\n```",
        "torch.export.load('blocks.pt2')", "No licence is named. Look it up before you pass this model on."})
    EXPECT_HAS(card, part);
}

TEST_F(ModelCard, TheLicenceIsTheOriginals) {
  RunPlan known = plan();
  CardSource& source = known.files.options.source.card;
  source = {.front_matter = "license: mit\n", .model = "maker/tiny", .license = "mit"};
  const auto ends_with = [&](const std::string& text) {
    const std::string card = model_card(known, report());
    EXPECT_TRUE(card.ends_with("## Licence\n\n" + text + "\n")) << card;
  };
  EXPECT_HAS(model_card(known, report()), "[maker/tiny](https://huggingface.co/maker/tiny)");
  ends_with("mit, as the original. Its text is not in this folder.");
  source.license_files = {"LICENSE", "USE_POLICY.md"};
  ends_with("mit, as the original. Of the original beside this file: LICENSE, USE\\_POLICY.md.");
  source.license = "";
  ends_with(
      "No licence is named. Of the original beside this file: LICENSE, USE\\_POLICY.md. Look it up before "
      "you pass "
      "this model on.");
}

}  // namespace
}  // namespace adascale::testing
