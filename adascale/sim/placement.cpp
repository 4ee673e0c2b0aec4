#include "adascale/sim/placement.h"

#include <algorithm>
#include <set>

#include "adascale/sim/output_bits.h"
#include "adascale/sim/supergroups.h"
#include "adascale/sim/units.h"

namespace adascale {
namespace {

class Placer {
 public:
  Placer(const Program& program, const SimConfig& config, const SimOptions& options)
      : program_(program),
        config_(config),
        options_(options),
        graph_(program),
        place_of_group_(graph_.units().size()) {
    const auto groups = find_supergroups(graph_, config);
    for (const Supergroup& group : groups) {
      for (const UnitId unit : group) place_of_group_[unit] = GroupPlace::kInside;
      place_of_group_[group.back()] = GroupPlace::kEnd;
    }
    bits_ = output_bits(graph_, groups, options);
  }

  std::vector<ActivationQuantizer> place() {
    place_model_inputs();
    for (UnitId unit = 0; unit < unit_count(); ++unit)
      if (is_output_quantized(unit)) place_outputs(unit);
    for (UnitId unit = 0; unit < unit_count(); ++unit)
      if (op_config(config_, type(unit)).is_input_quantized.value_or(false)) place_uncovered_inputs(unit);
    if (config_.quantize_model_output) place_uncovered_model_outputs();
    std::stable_sort(placed_.begin(), placed_.end(), [&](const auto& a, const auto& b) {
      return program_.values[a.value].producer < program_.values[b.value].producer;
    });
    return std::move(placed_);
  }

 private:
  enum class GroupPlace : char { kNone, kInside, kEnd };

  /// A unit and the value it reads.
  struct Reading {
    UnitId unit = kNone;
    ValueId value = kNone;
  };

  UnitId unit_count() const { return static_cast<UnitId>(graph_.units().size()); }
  const std::string& type(UnitId unit) const { return graph_.units()[unit].type; }

  bool is_output_quantized(UnitId unit) const {
    if (place_of_group_[unit] == GroupPlace::kInside) return false;
    if (graph_.units()[unit].role == DataRole::kComputes || place_of_group_[unit] == GroupPlace::kEnd)
      return op_config(config_, type(unit)).is_output_quantized.value_or(false);
    const auto entry = config_.op_types.find(type(unit));
    return entry != config_.op_types.end() && entry->second.is_output_quantized.value_or(false);
  }

  void add(ValueId value, UnitId unit, const char* port, int index, int64_t bits,
           std::optional<bool> symmetric) {
    if (bits == kOffBits || !has_quantizer_.insert(value).second) return;
    placed_.push_back({.value = value,
                       .module = graph_.units()[unit].name,
                       .port = port,
                       .index = index,
                       .bits = static_cast<int>(bits),
                       .symmetric = symmetric.value_or(false),
                       .encoding = std::nullopt,
                       .off_reason = ""});
  }

  void add_output(ValueId value, UnitId unit, int index, int64_t bits) {
    add(value, unit, "output", index, bits, op_config(config_, type(unit)).is_symmetric);
  }

  void add_input(ValueId value, const Reading& reading, int64_t bits, std::optional<bool> symmetric) {
    const auto inputs = graph_.inputs(reading.unit);
    const auto position = std::find(inputs.begin(), inputs.end(), reading.value) - inputs.begin();
    add(value, reading.unit, "input", static_cast<int>(position), bits, symmetric);
  }

  void place_outputs(UnitId unit) {
    for (const auto& [value, index] : graph_.units()[unit].outputs)
      add_output(value, unit, index, bits_[unit]);
  }

  void place_model_inputs() {
    if (!config_.quantize_model_input) return;
    for (const ProgramInput* input : program_.user_inputs()) {
      if (input->value == kNone || !graph_.flow().is_data(input->value)) continue;
      const Reading first = first_reading(input->value);
      if (first.unit != kNone)
        add_input(input->value, first, options_.default_output_bw, config_.defaults.is_symmetric);
    }
  }

  /// The first unit in execution order that computes with the value, or with what moving units make of it;
  /// the first mover when none computes.
  Reading first_reading(ValueId value) const {
    Reading first;
    const auto is_before = [&](const Reading& a, const Reading& b) {
      const bool a_computes = graph_.units()[a.unit].role == DataRole::kComputes;
      const bool b_computes = graph_.units()[b.unit].role == DataRole::kComputes;
      return a_computes != b_computes ? a_computes : a.unit < b.unit;
    };
    for (const Reading& reading : readings(value))
      if (first.unit == kNone || is_before(reading, first)) first = reading;
    return first;
  }

  /// Whoever reads the value, or what moving units make of it.
  std::vector<Reading> readings(ValueId value) const {
    std::vector<Reading> found;
    std::vector<ValueId> open = {value};
    std::set<ValueId> seen = {value};
    while (!open.empty()) {
      const ValueId now = open.back();
      open.pop_back();
      for (const UnitId unit : graph_.readers(now)) {
        found.push_back({unit, now});
        if (graph_.units()[unit].role == DataRole::kComputes) continue;
        for (const UnitOutput& moved : graph_.units()[unit].outputs)
          if (seen.insert(moved.value).second) open.push_back(moved.value);
      }
    }
    return found;
  }

  /// The value, or one it was moved from, has a quantizer or lies inside a supergroup.
  bool is_covered(ValueId value) const {
    for (; value != kNone; value = graph_.flow().moved_from(value)) {
      if (has_quantizer_.contains(value)) return true;
      const NodeId producer = program_.values[value].producer;
      if (producer != kNone && place_of_group_[graph_.unit_of(producer)] == GroupPlace::kInside) return true;
    }
    return false;
  }

  int64_t bits_of_source(ValueId value) const {
    const NodeId producer = program_.values[graph_.flow().source(value)].producer;
    return producer == kNone ? options_.default_output_bw : bits_[graph_.unit_of(producer)];
  }

  /// "is_input_quantized" of an op type: what reaches such a unit bare gets a quantizer, seen by its other
  /// readers too.
  void place_uncovered_inputs(UnitId unit) {
    for (const ValueId value : graph_.inputs(unit))
      if (!is_covered(value))
        add_input(value, {unit, value}, bits_of_source(value), op_config(config_, type(unit)).is_symmetric);
  }

  void place_uncovered_model_outputs() {
    for (UnitId unit = 0; unit < unit_count(); ++unit)
      for (const auto& [value, index] : graph_.units()[unit].outputs)
        if (program_.is_output(value) && !is_covered(value))
          add_output(value, unit, index, bits_of_source(value));
  }

  const Program& program_;
  const SimConfig& config_;
  const SimOptions& options_;
  UnitGraph graph_;
  std::vector<GroupPlace> place_of_group_;  // by unit
  std::vector<int64_t> bits_;               // by unit
  std::set<ValueId> has_quantizer_;
  std::vector<ActivationQuantizer> placed_;
};

}  // namespace

std::vector<ActivationQuantizer> place_activation_quantizers(const Program& program, const SimConfig& config,
                                                             const SimOptions& options) {
  return Placer(program, config, options).place();
}

}  // namespace adascale
