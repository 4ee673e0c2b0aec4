#include "adascale/run/evaluation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/run/token_logits.h"

namespace adascale {
namespace {

/// An output during the batches, with one comparison per runner.
struct Watched {
  size_t index;
  std::string name;
  std::optional<TokenInputs> tokens;
  std::vector<OutputComparison> comparisons;
  OutputDifference difference;
  bool has_difference = false;
};

std::vector<Watched> float_outputs(const Program& program, const std::vector<Runner>& runners) {
  std::vector<Watched> watched;
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const ValueId id = program.outputs[i].value;
    if (id == kNone || !program.values[id].is_float_tensor()) continue;
    const std::string& name = program.values[id].name;
    watched.push_back({i, name, token_inputs(program, id), {}, {.name = name}});
    for (const Runner& runner : runners) watched.back().comparisons.push_back({name, runner.name, {}, {}});
  }
  ADA_CHECK(!watched.empty(), "the model has no floating-point output to compare");
  return watched;
}

/// The part of a batch that counts for an output; `select` drops the positions that the mask excludes.
struct Counted {
  at::Tensor ids, mask;
  at::Tensor select(const at::Tensor& x) const {
    return mask.defined() ? x.flatten(0, 1).index_select(0, mask.flatten().nonzero().squeeze(1)) : x;
  }
};

Counted counted_in(const Watched& output, const at::Tensor& fp, const Inputs& inputs) {
  Counted counted;
  if (output.tokens) counted.ids = ids_of(*output.tokens, inputs, fp);
  if (!counted.ids.defined()) return counted;
  counted.mask = mask_of(*output.tokens, inputs, counted.ids);
  counted.ids = counted.ids.to(fp.device());
  if (counted.mask.defined()) counted.mask = counted.mask.to(fp.device());
  return counted;
}

void add_batch(OutputComparison& comparison, const at::Tensor& fp, const at::Tensor& got,
               const Counted& counted) {
  ADA_CHECK(fp.sizes() == got.sizes(), "output '{}' of the {}: the shape is not the model's", comparison.name,
            comparison.runner);
  if (counted.ids.defined()) {
    if (!comparison.tokens) comparison.tokens.emplace();
    comparison.tokens->add(fp, got, counted.ids, counted.mask);
  }
  comparison.metrics.add(counted.select(fp), counted.select(got));
}

/// NaN, without a sign, once there is one; std::max would drop it.
double largest_of(double a, double b) {
  return std::isnan(a) || a > b ? a : std::abs(b);
}

void add_difference(Watched& output, const at::Tensor& first, const at::Tensor& last) {
  if (first.numel() == 0) return;
  output.has_difference = true;
  OutputDifference& difference = output.difference;
  const at::Tensor a = first.to(at::kDouble), b = last.to(at::kDouble);
  difference.largest = largest_of(difference.largest, (a - b).abs().max().item<double>());
  difference.largest_value = largest_of(difference.largest_value, a.abs().max().item<double>());
}

/// One run of a batch, and its time.
std::vector<at::Tensor> timed(const Runner& runner, const Inputs& inputs, double& seconds) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<at::Tensor> outputs = runner.run(inputs);
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outputs;
}

int64_t samples_in(const Inputs& inputs) {
  const auto tensor = std::find_if(inputs.begin(), inputs.end(), [](const auto& x) { return x.isTensor(); });
  return tensor == inputs.end() ? 0 : tensor->toTensor().size(0);
}

int64_t tokens_in(const std::vector<Watched>& watched, const Inputs& inputs,
                  const std::vector<at::Tensor>& fp) {
  for (const Watched& output : watched) {
    const at::Tensor ids = counted_in(output, fp[output.index], inputs).ids;
    if (ids.defined()) return ids.numel();
  }
  return 0;
}

void compare_batch(std::vector<Watched>& watched, const std::vector<std::vector<at::Tensor>>& runs,
                   const Inputs& inputs) {
  for (Watched& output : watched) {
    const at::Tensor& fp = runs[0][output.index];
    const Counted counted = counted_in(output, fp, inputs);
    for (size_t i = 1; i < runs.size(); ++i)
      if (runs[i][output.index].defined())
        add_batch(output.comparisons[i - 1], fp, runs[i][output.index].to(fp.device()), counted);
    if (runs.size() > 2 && runs[1][output.index].defined() && runs.back()[output.index].defined())
      add_difference(output, counted.select(runs[1][output.index]),
                     counted.select(runs.back()[output.index].to(fp.device())));
  }
}

void check_gives_outputs(const std::vector<Watched>& watched, size_t runner) {
  const bool gives_any = std::any_of(watched.begin(), watched.end(), [&](const Watched& output) {
    return output.comparisons[runner].metrics.is_used();
  });
  ADA_CHECK(gives_any,
            "{}: gives none of the model's outputs, such as '{}'; was its file made from this model?",
            watched.front().comparisons[runner].runner, watched.front().name);
}

}  // namespace

Evaluation evaluate_runners(const Program& fp, const std::vector<Runner>& runners,
                            const std::vector<Inputs>& batches) {
  const at::NoGradGuard no_grad;
  std::vector<Runner> all = {program_runner("model", fp)};
  all.insert(all.end(), runners.begin(), runners.end());
  std::vector<Watched> watched = float_outputs(fp, runners);
  Evaluation evaluation;
  evaluation.seconds.resize(all.size());
  for (size_t batch = 0; batch < batches.size(); ++batch) {
    const bool is_timed = batch > 0 || batches.size() == 1;
    std::vector<std::vector<at::Tensor>> runs;
    for (size_t i = 0; i < all.size(); ++i) {
      double seconds = 0;
      runs.push_back(timed(all[i], batches[batch], seconds));
      ADA_CHECK(runs[i].size() == runs[0].size(),
                "the {} has {} outputs, the model {}: not made from this model", all[i].name, runs[i].size(),
                runs[0].size());
      if (is_timed) evaluation.seconds[i] += seconds;
    }
    if (is_timed) {
      const int64_t tokens = tokens_in(watched, batches[batch], runs[0]);
      evaluation.are_tokens = tokens > 0;
      evaluation.counted += tokens > 0 ? tokens : samples_in(batches[batch]);
    }
    compare_batch(watched, runs, batches[batch]);
  }
  for (size_t i = 0; i < runners.size(); ++i) check_gives_outputs(watched, i);
  for (Watched& output : watched) {
    for (OutputComparison& comparison : output.comparisons)
      if (comparison.metrics.is_used())
        evaluation.outputs.push_back(std::move(comparison));
      else
        evaluation.missing.push_back(
            fmt::format("{} gives no output '{}'", comparison.runner, comparison.name));
    if (output.has_difference) evaluation.differences.push_back(std::move(output.difference));
  }
  return evaluation;
}

}  // namespace adascale
