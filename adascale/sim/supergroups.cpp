#include "adascale/sim/supergroups.h"

#include <algorithm>
#include <string>

namespace adascale {
namespace {

class SupergroupFinder {
 public:
  SupergroupFinder(const UnitGraph& graph, const SimConfig& config)
      : graph_(graph), patterns_(config.supergroups), taken_(graph.units().size()) {
    std::stable_sort(patterns_.begin(), patterns_.end(),
                     [](const auto& a, const auto& b) { return a.size() > b.size(); });
  }

  std::vector<Supergroup> find() {
    std::vector<Supergroup> groups;
    for (UnitId first = 0; first < static_cast<UnitId>(graph_.units().size()); ++first) {
      for (const auto& pattern : patterns_) {
        Supergroup group = match(first, pattern);
        if (group.empty()) continue;
        for (const UnitId unit : group) taken_[unit] = true;
        groups.push_back(std::move(group));
        break;
      }
    }
    return groups;
  }

 private:
  /// The group that starts at `first`; empty when the pattern does not fit.
  Supergroup match(UnitId first, const std::vector<std::string>& pattern) const {
    Supergroup group;
    UnitId unit = first;
    for (const std::string& type : pattern) {
      if (!group.empty()) unit = next(unit);
      if (unit == kNone || taken_[unit] || graph_.units()[unit].type != type) return {};
      group.push_back(unit);
    }
    return group;
  }

  /// The only reader of a unit's only output, past units that vanish at run time.
  UnitId next(UnitId unit) const {
    do {
      const auto& outputs = graph_.units()[unit].outputs;
      if (outputs.size() != 1 || graph_.program().is_output(outputs.front().value)) return kNone;
      const auto readers = graph_.readers(outputs.front().value);
      if (readers.size() != 1) return kNone;
      unit = readers.front();
    } while (graph_.units()[unit].role == DataRole::kForwards);
    return unit;
  }

  const UnitGraph& graph_;
  std::vector<std::vector<std::string>> patterns_;  // longest first
  std::vector<bool> taken_;                         // by unit
};

}  // namespace

std::vector<Supergroup> find_supergroups(const UnitGraph& graph, const SimConfig& config) {
  return SupergroupFinder(graph, config).find();
}

}  // namespace adascale
