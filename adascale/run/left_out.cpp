#include "adascale/run/left_out.h"

#include <algorithm>

namespace adascale {
namespace {

std::string reason_left_out(const Layer& layer, const std::vector<std::string>& outside) {
  return std::find(outside.begin(), outside.end(), layer.name) != outside.end()
             ? "outside every block"
             : "by the layer settings or the config";
}

}  // namespace

std::vector<LeftOut> left_out(const ModelPlan& plan) {
  std::vector<LeftOut> all;
  for (const Layer& layer : plan.sim.unquantized().excluded)
    all.push_back({layer.name, layer.kind->name, reason_left_out(layer, plan.outside)});
  for (const PassedOver& layer : plan.sim.unquantized().passed_over)
    all.push_back({layer.name, "", layer.reason});
  return all;
}

std::vector<LeftOut> left_out(const RunPlan& plan) {
  std::vector<LeftOut> all;
  for (const ModelPlan& part : plan.parts)
    for (LeftOut& one : left_out(part)) all.push_back(std::move(one));
  if (!plan.live) return all;
  for (const auto& [path, reason] : plan.live->model.not_captured) all.push_back({path, "", reason});
  for (const std::string& name : plan.live->model.outside) all.push_back({name, "", "outside every block"});
  return all;
}

}  // namespace adascale
