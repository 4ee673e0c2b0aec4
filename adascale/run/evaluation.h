#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/run/metrics.h"
#include "adascale/run/runtime.h"
#include "adascale/sim/quantsim.h"

namespace adascale {

/// A way to run the model: the flat outputs of a batch, undefined where it does not give one.
struct Runner {
  std::string name;  ///< "simulation", "onnxruntime"
  std::function<std::vector<at::Tensor>(const Inputs&)> run;
};

/// Libtorch runs it in this process. `program` must outlive the runner.
Runner program_runner(const std::string& name, const Program& program);
/// A runtime runs it; `program` has the names of its inputs and must outlive the runner.
Runner runtime_runner(const std::string& name, const Program& program, RunBatch run);
ModelNames names_of(const Program& program);

/// One float output of the model from one runner, compared with the model's own over all batches.
struct OutputComparison {
  std::string name, runner;
  OutputMetrics metrics;
  std::optional<TokenMetrics> tokens;  ///< where it is logits over tokens (token_logits.h)
  std::vector<double> sqnr_by_sample;  ///< in dB, where it is not, and has the samples along dimension 0
};

/// One float output of two runners.
struct OutputDifference {
  std::string name;
  double largest = 0;        ///< max |a - b| over all batches
  double largest_value = 0;  ///< max |a|
};

struct Evaluation {
  std::vector<OutputComparison> outputs;
  std::vector<OutputDifference> differences;  ///< between the last and the first runner, where there are two
  std::vector<std::string> missing;           ///< outputs that a runner does not give, one per line
  int64_t counted = 0;                        ///< samples, or tokens, of the timed batches
  bool are_tokens = false;
  std::vector<double> seconds;  ///< of the model, then of each runner, for the counted ones
};

/// Runs the model and every runner on the batches; the first batch is not timed unless it is the
/// only one. Positions that the attention mask excludes do not count in the metrics of token
/// logits. Throws (user) when a runner's outputs are not the model's, when it gives none of them,
/// or when there is no float output to compare.
Evaluation evaluate_runners(const Program& fp, const std::vector<Runner>& runners,
                            const std::vector<Inputs>& batches);

}  // namespace adascale
