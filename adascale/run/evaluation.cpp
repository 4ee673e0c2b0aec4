#include "adascale/run/evaluation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/run/batches.h"
#include "adascale/sim/token_logits.h"

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
    for (const Runner& runner : runners)
      watched.back().comparisons.push_back({name, runner.name, {}, {}, {}});
  }
  ADA_CHECK(!watched.empty(), "the model has no floating-point output to compare");
  return watched;
}

/// The part of a batch that counts for an output, where that is logits over tokens.
struct Counted {
  at::Tensor ids, mask;
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

void add_samples(OutputComparison& comparison, const at::Tensor& fp, const at::Tensor& got) {
  const auto power = [](const at::Tensor& x) { return x.square().sum().item<double>(); };
  for (int64_t i = 0; i < fp.size(0); ++i) {
    const at::Tensor exact = fp[i].to(at::kDouble);  // a difference in bf16 would be rounded
    comparison.sqnr_by_sample.push_back(10 * std::log10(power(exact) / power(exact - got[i])));
  }
}

void add_batch(OutputComparison& comparison, const at::Tensor& fp, const at::Tensor& got,
               const Counted& counted, int64_t samples) {
  ADA_CHECK(fp.sizes() == got.sizes(), "output '{}' of the {}: the shape is not the model's", comparison.name,
            comparison.runner);
  if (counted.ids.defined()) {
    if (!comparison.tokens) comparison.tokens.emplace();
    comparison.tokens->add(fp, got, counted.ids, counted.mask);
  }
  comparison.metrics.add(fp, got, counted.mask);
  if (!counted.ids.defined() && fp.dim() > 0 && fp.size(0) == samples) add_samples(comparison, fp, got);
}

/// NaN, without a sign, once there is one; std::max would drop it.
double largest_of(double a, double b) {
  return std::isnan(a) || a > b ? a : std::abs(b);
}

void add_difference(Watched& output, const at::Tensor& first, const at::Tensor& last,
                    const at::Tensor& mask) {
  OutputDifference& difference = output.difference;
  visit_vectors(first, last, mask, [&](const at::Tensor& a, const at::Tensor& b) {
    output.has_difference = true;
    difference.largest = largest_of(difference.largest, (a - b).abs().max().item<double>());
    difference.largest_value = largest_of(difference.largest_value, a.abs().max().item<double>());
  });
}

/// One run of a batch, and its time.
std::vector<at::Tensor> timed(const Runner& runner, const Inputs& inputs, double& seconds) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<at::Tensor> outputs = runner.run(inputs);
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return outputs;
}

int64_t tokens_in(const std::vector<Watched>& watched, const Inputs& inputs,
                  const std::vector<at::Tensor>& fp) {
  for (const Watched& output : watched) {
    const at::Tensor ids = counted_in(output, fp[output.index], inputs).ids;
    if (ids.defined()) return ids.numel();
  }
  return 0;
}

/// Of the logits that are computed at once, unless those of one sample are more.
constexpr int64_t kLogitsAtOnce = 1 << 26;

int64_t samples_at_once(const Program& program, const std::vector<Watched>& watched, const Inputs& inputs) {
  int64_t largest = 1;
  for (const Watched& output : watched) {
    if (!output.tokens) continue;
    const int64_t tokens = inputs[output.tokens->ids.front()].toTensor().size(1);
    largest = std::max(largest, tokens * program.values[program.outputs[output.index].value].sizes[2].size);
  }
  return kLogitsAtOnce / largest;
}

void check_gives_outputs(const std::vector<Watched>& watched, size_t runner) {
  const bool gives_any = std::any_of(watched.begin(), watched.end(), [&](const Watched& output) {
    return output.comparisons[runner].metrics.is_used();
  });
  ADA_CHECK(gives_any,
            "{}: gives none of the model's outputs, such as '{}'; was its file made from this model?",
            watched.front().comparisons[runner].runner, watched.front().name);
}

/// Runs the model and all runners on some samples, and compares.
class Comparing {
 public:
  Comparing(const Program& fp, const std::vector<Runner>& runners, Evaluation& evaluation)
      : runners_(runners), evaluation_(evaluation), model_(program_runner("model", fp)) {
    evaluation_.seconds.resize(1 + runners.size());
  }

  void add(std::vector<Watched>& watched, const Inputs& inputs, bool is_timed) {
    const std::vector<at::Tensor> fp = run(0, model_, inputs, is_timed);
    if (is_timed) count(watched, inputs, fp);
    std::vector<at::Tensor> first;
    for (size_t i = 0; i < runners_.size(); ++i) {
      const std::vector<at::Tensor> got = run(i + 1, runners_[i], inputs, is_timed);
      ADA_CHECK(got.size() == fp.size(), "the {} has {} outputs, the model {}: not made from this model",
                runners_[i].name, got.size(), fp.size());
      const bool is_compared = i > 0 && i + 1 == runners_.size();
      for (Watched& output : watched)
        if (got[output.index].defined())
          compare(output, i, fp[output.index], got[output.index], inputs,
                  is_compared ? first[output.index] : at::Tensor());
      if (i == 0 && runners_.size() > 1) first = got;
    }
  }

 private:
  std::vector<at::Tensor> run(size_t place, const Runner& runner, const Inputs& inputs, bool is_timed) {
    double seconds = 0;
    std::vector<at::Tensor> outputs = timed(runner, inputs, seconds);
    if (is_timed) evaluation_.seconds[place] += seconds;
    return outputs;
  }

  void count(const std::vector<Watched>& watched, const Inputs& inputs, const std::vector<at::Tensor>& fp) {
    const int64_t tokens = tokens_in(watched, inputs, fp);
    evaluation_.are_tokens = tokens > 0;
    evaluation_.counted += tokens > 0 ? tokens : samples_in(inputs);
  }

  static void compare(Watched& output, size_t runner, const at::Tensor& fp, const at::Tensor& got,
                      const Inputs& inputs, const at::Tensor& first) {
    const Counted counted = counted_in(output, fp, inputs);
    const at::Tensor here = got.to(fp.device());
    add_batch(output.comparisons[runner], fp, here, counted, samples_in(inputs));
    if (first.defined()) add_difference(output, first, here, counted.mask);
  }

  const std::vector<Runner>& runners_;
  Evaluation& evaluation_;
  Runner model_;
};

}  // namespace

Evaluation evaluate_runners(const Program& fp, const std::vector<Runner>& runners,
                            const std::vector<Inputs>& batches) {
  const at::NoGradGuard no_grad;
  std::vector<Watched> watched = float_outputs(fp, runners);
  Evaluation evaluation;
  Comparing comparing(fp, runners, evaluation);
  for (size_t batch = 0; batch < batches.size(); ++batch) {
    const bool is_timed = batch > 0 || batches.size() == 1;
    for (const Inputs& piece : cut_batch(fp, batches[batch], samples_at_once(fp, watched, batches[batch])))
      comparing.add(watched, piece, is_timed);
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
