#include "adascale/tune/start_ranges.h"

#include "adascale/quant/schemes.h"
#include "adascale/tune/input_power.h"
#include "adascale/tune/run_progress.h"

namespace adascale {
namespace {

std::vector<Range> scheme_ranges(const QuantizationSimModel& sim, const std::vector<int32_t>& weights) {
  std::vector<Range> ranges;
  for (const int32_t weight : weights) ranges.push_back(sim.weights()[weight].range);
  return ranges;
}

std::vector<Range> weighted_ranges(const QuantizationSimModel& sim, const std::vector<int32_t>& weights,
                                   const InputPower& power) {
  const c10::Device device = sim.program().device;
  const std::vector<at::Tensor> importance = power.mean_squares();
  std::vector<Range> ranges;
  Pass pass(kStartRanges, static_cast<int64_t>(weights.size()));
  for (size_t i = 0; i < weights.size(); ++i) {
    const QuantizedWeight& weight = sim.weights()[weights[i]];
    const at::Tensor w = sim.state(weight.layer.parameters.front()).detach().to(device);
    ranges.push_back(weighted_sqnr_range(w, weight.grid, importance[i]));
    pass.step();
  }
  return ranges;
}

}  // namespace

std::vector<Range> run_fp_for_start_ranges(const BlockJob& job) {
  if (job.recipe.start == StartRange::kScheme || job.weights.empty()) {
    job.source.run_fp(job.index, {});
    return scheme_ranges(job.sim, job.weights);
  }
  InputPower power(job.sim, job.weights, job.accumulate);
  job.source.run_fp(job.index, [&](int64_t batch, NodeId node, const Environment& environment) {
    if (batch < job.training_batches) power.watch(batch, node, environment, job.source.mask(batch));
  });
  power.add_over(job.team);
  return weighted_ranges(job.sim, job.weights, power);
}

}  // namespace adascale
