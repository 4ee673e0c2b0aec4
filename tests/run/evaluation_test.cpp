#include "adascale/run/evaluation.h"

#include "adascale/io/pt2.h"
#include "run/run_case.h"

namespace adascale::testing {
namespace {

class EvaluationTest : public RunTest {};

TEST_F(EvaluationTest, ASampleInBfloat16IsComparedExactly) {
  const Program fp = load_program(model_file("bfloat16"));
  const at::Tensor x = at::randn({4, 16}).to(at::kBFloat16);
  const Runner whole = program_runner("whole", fp);
  // A difference of a few hundredths: in bf16 it would lose half of its digits.
  const Runner other{"other", [&](const Inputs& inputs) {
                       return std::vector<at::Tensor>{(whole.run(inputs)[0] * 1.037).to(at::kBFloat16)};
                     }};
  const Evaluation evaluation = evaluate_runners(fp, {other}, {{x}});
  const at::Tensor a = whole.run({x})[0], b = other.run({x})[0];
  ASSERT_EQ(a.scalar_type(), at::kBFloat16);
  const std::vector<double>& got = evaluation.outputs.at(0).sqnr_by_sample;
  ASSERT_EQ(got.size(), 4);
  for (int64_t i = 0; i < 4; ++i) {
    const at::Tensor signal = a[i].to(at::kDouble), noise = signal - b[i].to(at::kDouble);
    const auto power = [](const at::Tensor& t) { return t.square().sum().item<double>(); };
    EXPECT_NEAR(got[i], 10 * std::log10(power(signal) / power(noise)), 1e-9);
  }
}

}  // namespace
}  // namespace adascale::testing
