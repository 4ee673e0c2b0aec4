#include "cli/evaluation.h"

#include <ATen/core/grad_mode.h>

#include "adascale/core/error.h"
#include "cli/token_logits.h"

namespace adascale {
namespace {

/// A program ready to run batch after batch.
class Runner {
 public:
  explicit Runner(const Program& program) : program_(program), plan_(program) {}
  Outputs run(const Inputs& inputs) const {
    check_inputs(program_, inputs);
    Environment environment(program_);
    feed_inputs(program_, inputs, environment);
    plan_.run(environment);
    return collect_outputs(program_, environment);
  }

 private:
  const Program& program_;
  Plan plan_;
};

/// An output on its way through the batches.
struct Watched {
  size_t index;
  std::optional<TokenInputs> tokens;
  OutputComparison comparison;
};

std::vector<Watched> float_outputs(const Program& program) {
  std::vector<Watched> watched;
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const ValueId id = program.outputs[i].value;
    if (id == kNone || !program.values[id].is_float_tensor()) continue;
    watched.push_back({i, token_inputs(program, id), {.name = program.values[id].name}});
  }
  ADA_CHECK(!watched.empty(), "the model has no floating-point output to compare");
  return watched;
}

void add_tokens(Watched& output, const at::Tensor& fp, const at::Tensor& quant, const at::Tensor& ids,
                const at::Tensor& mask) {
  if (!output.comparison.tokens) output.comparison.tokens.emplace();
  output.comparison.tokens->add(fp, quant, ids, mask);
}

void add_batch(Watched& output, const at::Tensor& fp, const at::Tensor& quant, const Inputs& inputs) {
  ADA_CHECK(fp.sizes() == quant.sizes(), "output '{}': the quantized model's shape is not the model's",
            output.comparison.name);
  at::Tensor ids, mask;
  if (output.tokens) ids = ids_of(*output.tokens, inputs, fp);
  if (ids.defined()) {
    mask = mask_of(*output.tokens, inputs, ids);
    add_tokens(output, fp, quant, ids, mask);
  }
  if (!mask.defined()) return output.comparison.metrics.add(fp, quant);
  const auto select = [&](const at::Tensor& x) {
    return x.flatten(0, 1).index_select(0, mask.flatten().nonzero().squeeze(1));
  };
  output.comparison.metrics.add(select(fp), select(quant));
}

}  // namespace

std::vector<OutputComparison> compare(const Program& fp, const Program& quant,
                                      const std::vector<Inputs>& batches) {
  const at::NoGradGuard no_grad;
  ADA_CHECK(fp.outputs.size() == quant.outputs.size(),
            "the quantized model has {} outputs, the model {}: not made from this model",
            quant.outputs.size(), fp.outputs.size());
  const Runner fp_runner(fp), quant_runner(quant);
  std::vector<Watched> watched = float_outputs(fp);
  for (const Inputs& batch : batches) {
    const Outputs expected = fp_runner.run(batch), got = quant_runner.run(batch);
    for (Watched& output : watched)
      add_batch(output, expected[output.index].toTensor(), got[output.index].toTensor(), batch);
  }
  std::vector<OutputComparison> comparisons;
  for (Watched& output : watched) comparisons.push_back(std::move(output.comparison));
  return comparisons;
}

}  // namespace adascale
