#include "adascale/run/evaluation_json.h"

#include <torch/version.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "adascale/core/version.h"
#include "adascale/run/call_text.h"
#include "adascale/run/optional_json.h"

namespace adascale {
namespace {

using json = nlohmann::ordered_json;

constexpr size_t kPoints = 128;  // of the curve over positions
constexpr size_t kWorst = 10;

/// [first position, mean divergence] each, of at most kPoints stretches of equal length.
json positions_json(const TokenTrace& trace) {
  const size_t all = trace.kl_at().size(), stretch = std::max<size_t>(1, (all + kPoints - 1) / kPoints);
  json points = json::array();
  for (size_t first = 0; first < all; first += stretch) {
    double kl = 0;
    int64_t tokens = 0;
    for (size_t i = first; i < std::min(all, first + stretch); ++i)
      kl += trace.kl_at()[i], tokens += trace.tokens_at()[i];
    if (tokens > 0) points.push_back({first, kl / static_cast<double>(tokens)});
  }
  return points;
}

json text_json(const Decode& decode, const std::vector<int64_t>& ids) {
  return decode ? json(decode(ids)) : json(nullptr);
}

json sample_json(size_t number, const SampleTrace& sample, const Decode& decode) {
  const WorstToken& worst = sample.worst;
  return {{"sample", number},
          {"kl", sample.mean()},
          {"tokens", sample.tokens},
          {"worst",
           {{"position", worst.position},
            {"kl", worst.kl},
            {"before", worst.before},
            {"before_text", text_json(decode, worst.before)},
            {"fp_next", worst.fp_next},
            {"fp_next_text", text_json(decode, {worst.fp_next})},
            {"quant_next", worst.quant_next},
            {"quant_next_text", text_json(decode, {worst.quant_next})}}}};
}

/// The numbers of the samples, at most kWorst, with the largest `badness` first; the earlier of two equal ones.
template <class Badness>
std::vector<size_t> worst_of(size_t count, Badness badness) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return badness(a) > badness(b); });
  order.resize(std::min(kWorst, count));
  return order;
}

json token_json(const TokenMetrics& tokens, const Decode& decode) {
  const TokenTrace& trace = tokens.trace();
  const std::vector<SampleTrace>& samples = trace.samples();
  json worst = json::array();
  for (const size_t i : worst_of(samples.size(), [&](size_t i) { return samples[i].mean(); }))
    if (samples[i].tokens > 0) worst.push_back(sample_json(i, samples[i], decode));
  return {{"kl", tokens.kl_divergence()},
          {"fp_perplexity", optional_json(tokens.fp_perplexity())},
          {"quant_perplexity", optional_json(tokens.quant_perplexity())},
          {"kl_by_position", positions_json(trace)},
          {"kl_histogram",
           {{"low", TokenTrace::kLow}, {"step", TokenTrace::kStep}, {"counts", trace.histogram()}}},
          {"worst", worst}};
}

json samples_json(const std::vector<double>& sqnr) {
  json worst = json::array();
  for (const size_t i : worst_of(sqnr.size(), [&](size_t i) { return -sqnr[i]; }))
    worst.push_back({{"sample", i}, {"sqnr_db", sqnr[i]}});
  return worst;
}

json output_json(const OutputComparison& output, const Decode& decode) {
  json made = {{"name", output.name},
               {"runner", output.runner},
               {"sqnr_db", output.metrics.sqnr_db()},
               {"cosine", output.metrics.mean_cosine()},
               {"same_top", optional_json(output.metrics.top1_agreement())}};
  if (output.tokens)
    made["tokens"] = token_json(*output.tokens, decode);
  else
    made["worst"] = samples_json(output.sqnr_by_sample);
  return made;
}

json tasks_json(const std::vector<TaskScore>& tasks) {
  json scores = json::array();
  for (const TaskScore& score : tasks)
    scores.push_back({{"task", score.task},
                      {"metric", score.metric},
                      {"model", score.model},
                      {"quantized", score.quantized},
                      {"standard_error", optional_json(score.standard_error)}});
  return scores;
}

json speeds_json(const EvaluatedFolder& result) {
  const Evaluation& evaluation = result.evaluation;
  json speeds = json::array();
  for (size_t i = 0; i < evaluation.seconds.size(); ++i)
    speeds.push_back({{"name", i == 0 ? "model" : result.runners[i - 1]},
                      {"per_second", static_cast<double>(evaluation.counted) / evaluation.seconds[i]}});
  return {{"unit", evaluation.are_tokens ? "tokens" : "samples"}, {"of", speeds}};
}

}  // namespace

std::string evaluation_json(const EvaluateRequest& request, const EvaluatedFolder& result) {
  json outputs = json::array(), differences = json::array(), data = json::array();
  for (const OutputComparison& output : result.evaluation.outputs)
    outputs.push_back(output_json(output, result.decode));
  for (const OutputDifference& one : result.evaluation.differences)
    differences.push_back(
        {{"name", one.name}, {"largest", one.largest}, {"largest_value", one.largest_value}});
  for (const std::string& file : request.data.files) data.push_back(name_of(file));
  const json all = {{"adascale", kVersion},
                    {"torch", TORCH_VERSION},
                    {"model", name_of(request.model)},
                    {"folder", name_of(request.folder)},
                    {"simulation", result.simulation ? json(name_of(*result.simulation)) : json(nullptr)},
                    {"data", data},
                    {"samples", result.samples},
                    {"runners", result.runners},
                    {"outputs", outputs},
                    {"differences", differences},
                    {"missing", result.evaluation.missing},
                    {"speed", speeds_json(result)},
                    {"tasks", tasks_json(result.tasks)},
                    {"activations_not_held", result.activations_not_held}};
  return all.dump(1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

}  // namespace adascale
