#include "adascale/sim/placement.h"

#include <algorithm>
#include <map>
#include <set>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/sim/activation_settings.h"
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
    settings_ = activation_settings(graph_, groups, options);
  }

  std::vector<ActivationQuantizer> place() {
    place_model_inputs();
    for (UnitId unit = 0; unit < unit_count(); ++unit)
      if (is_output_quantized(unit)) place_outputs(unit);
    for (UnitId unit = 0; unit < unit_count(); ++unit)
      if (op_config(config_, type(unit)).is_input_quantized.value_or(false)) place_uncovered_inputs(unit);
    if (config_.quantize_model_output) place_uncovered_model_outputs();
    for (UnitId unit = 0; unit < unit_count(); ++unit) set_inputs(unit);
    std::erase_if(placed_, [](const ActivationQuantizer& quantizer) { return quantizer.bits == kOffBits; });
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
    const auto asked = settings_[unit].output_symmetric;
    add(value, unit, "output", index, bits, asked ? asked : op_config(config_, type(unit)).is_symmetric);
  }

  void add_input(ValueId value, const Reading& reading, int64_t bits, std::optional<bool> symmetric) {
    const auto inputs = graph_.inputs(reading.unit);
    const auto position = std::find(inputs.begin(), inputs.end(), reading.value) - inputs.begin();
    add(value, reading.unit, "input", static_cast<int>(position), bits, symmetric);
  }

  void place_outputs(UnitId unit) {
    for (const auto& [value, index] : graph_.units()[unit].outputs)
      add_output(value, unit, index, settings_[unit].output_bw);
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

  /// The first unit in execution order that computes with the value or a moved copy of it; the
  /// first mover when none computes.
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

  /// All readers of the value or of a moved copy of it.
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

  /// Whether the value, or one it was moved from, has a quantizer or lies inside a supergroup.
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
    return producer == kNone ? options_.default_output_bw : settings_[graph_.unit_of(producer)].output_bw;
  }

  /// "is_input_quantized" of an op type: an input of such a unit that has no quantizer gets one,
  /// which applies to its other readers too.
  void place_uncovered_inputs(UnitId unit) {
    for (const ValueId value : graph_.inputs(unit))
      if (!is_covered(value))
        add_input(value, {unit, value}, bits_of_source(value), op_config(config_, type(unit)).is_symmetric);
  }

  /// Applies layer_config's input settings to the quantizers of the values that a
  /// unit reads, existing or new.
  void set_inputs(UnitId unit) {
    const UnitSettings& asked = settings_[unit];
    if (!asked.input_bw && !asked.input_symmetric) return;
    for (const ValueId value : graph_.inputs(unit)) {
      const ValueId holder = holder_of(value);
      if (holder == kNone) {
        add_input(value, {unit, value}, asked.input_bw.value_or(kOffBits), asked.input_symmetric);
      } else {
        set_input(unit, holder);
      }
      asked_by_[holder == kNone ? value : holder].push_back(unit);
    }
  }

  void set_input(UnitId unit, ValueId value) {
    const UnitSettings& asked = settings_[unit];
    for (const UnitId other : asked_by_[value])
      ADA_CHECK(asked.input_bw == settings_[other].input_bw &&
                    asked.input_symmetric == settings_[other].input_symmetric,
                "{}: {} and {} read one value and ask different things of their input; ask the same",
                option("layer_config"), graph_.units()[other].name, graph_.units()[unit].name);
    const auto quantizer = std::find_if(placed_.begin(), placed_.end(),
                                        [&](const ActivationQuantizer& q) { return q.value == value; });
    quantizer->bits = static_cast<int>(asked.input_bw.value_or(quantizer->bits));
    quantizer->symmetric = asked.input_symmetric.value_or(quantizer->symmetric);
  }

  /// The value, or the one it was moved from, that has a quantizer; kNone when there is none.
  ValueId holder_of(ValueId value) const {
    while (value != kNone && !has_quantizer_.contains(value)) value = graph_.flow().moved_from(value);
    return value;
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
  std::vector<GroupPlace> place_of_group_;           // by unit
  std::vector<UnitSettings> settings_;               // by unit
  std::map<ValueId, std::vector<UnitId>> asked_by_;  // the units whose input_bw or input_symmetric it follows
  std::set<ValueId> has_quantizer_;
  std::vector<ActivationQuantizer> placed_;
};

}  // namespace

std::vector<ActivationQuantizer> place_activation_quantizers(const Program& program, const SimConfig& config,
                                                             const SimOptions& options) {
  return Placer(program, config, options).place();
}

}  // namespace adascale
