#include "adascale/formats/encodings/load.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "adascale/core/words.h"
#include "adascale/formats/encodings/layout.h"
#include "adascale/formats/encodings/names.h"
#include "adascale/formats/encodings/reader.h"
#include "adascale/sim/sim_editor.h"

namespace adascale {
namespace {

constexpr const char* kMissing = "the encodings file has no entry for it";

struct ActivationFromFile {
  int bits;
  bool symmetric;
  ActivationEncoding encoding;
  bool operator==(const ActivationFromFile& other) const {
    return bits == other.bits && encoding.scale == other.encoding.scale && encoding.min == other.encoding.min;
  }
};

ActivationFromFile activation_from(const FileEntry& entry, const ActivationQuantizer& quantizer) {
  ADA_CHECK(entry.scales.size() == 1 && entry.block_scales.empty(),
            "{}: got {} scales, expected 1: activations are quantized per tensor", entry.where,
            entry.scales.size());
  const int64_t lowest = entry.lowest.front(), around_zero = -(int64_t{1} << (entry.bits - 1));
  // 2.x does not say whether it is symmetric, and codes around zero are the same numbers either way.
  const bool may_be_symmetric = entry.is_signed || quantizer.symmetric;
  const bool symmetric = entry.symmetric.value_or(lowest == around_zero && may_be_symmetric);
  const Grid grid{.bits = entry.bits, .symmetric = symmetric};
  ActivationEncoding encoding;
  encoding.scale = entry.scales.front();
  encoding.offset = symmetric ? 0 : lowest;
  encoding.min = encoding.scale * static_cast<double>(lowest);
  encoding.max = encoding.scale * static_cast<double>(lowest + grid.steps());
  return {entry.bits, symmetric, encoding};
}

bool is_same(const Encoding& a, const Encoding& b) {
  const auto is_same_part = [](const auto& one, const auto& other) {
    return one.first == other.first && at::equal(one.second, other.second);
  };
  return a.grid == b.grid && a.scale.sizes() == b.scale.sizes() && at::equal(a.scale, b.scale) &&
         at::equal(a.offset, b.offset) &&
         std::equal(a.parts.begin(), a.parts.end(), b.parts.begin(), b.parts.end(), is_same_part);
}

/// The settings from a file for one simulation: all are found first and only set
/// when nothing is objected to.
class Part {
 public:
  Part(const SimPart& target, const LoadOptions& options)
      : sim_(target.sim), editor_(target.sim), path_(target.path), options_(options), names_(target.sim) {}

  enum class Taken { kNo, kHasNoQuantizer, kFixed, kYes };

  /// Throws Error (user) when the entry is for something in this part but cannot be applied.
  Taken take(const FileEntry& entry) {
    if (entry.bits == kBiasBits) return pass_over_bias(entry);
    if (const auto weight = entry.port.empty() ? names_.weight(entry.name) : std::nullopt)
      return *weight == kNone ? Taken::kHasNoQuantizer : take_weight(*weight, entry);
    const auto activation = find_activation(entry);
    if (!activation) return take_transposed(entry);
    return *activation == kNone ? Taken::kHasNoQuantizer : take_activation(*activation, entry);
  }

  /// Objects to quantizers without an entry in the file.
  void check_missing(const std::string& file, Objections& objections) const {
    for (const int32_t weight : missing_weights())
      objections.add("{}: has no entry for {}; load with partial", file, parameter(weight));
    for (const int32_t index : missing_activations()) {
      const ActivationQuantizer& quantizer = sim_.activations()[index];
      objections.add("{}: has no entry for {} {} {}; load with partial", file, quantizer.module,
                     quantizer.port, quantizer.index);
    }
  }

  void apply() {
    if (!options_.partial) turn_off_missing();
    const bool fixed = !options_.allow_overwrite;
    for (auto& [index, encoding] : weights_) editor_.load_weight(index, std::move(encoding), fixed);
    for (const auto& [index, found] : activations_)
      editor_.load_activation(index, found.bits, found.symmetric, found.encoding, fixed);
    if (!options_.partial) drop_missing_weights();
  }

  std::vector<std::string> known_names(const FileEntry& entry) const { return names_.known_names(entry); }

 private:
  const std::string& parameter(int32_t weight) const {
    return sim_.weights()[weight].layer.parameters.front();
  }

  /// An operator outside modules is named by the part's path and its own name.
  std::optional<int32_t> find_activation(FileEntry entry) const {
    if (const auto found = names_.activation(entry)) return found;
    if (path_.empty() || !entry.name.starts_with(path_ + ".")) return std::nullopt;
    entry.name = entry.name.substr(path_.size() + 1);
    return names_.activation(entry);
  }

  Taken pass_over_bias(const FileEntry& entry) const {
    const auto& state = sim_.program().state;
    const auto found = entry.port.empty() ? state.find(entry.name) : state.end();
    if (found == state.end() && entry.port.empty() && !names_.activation(entry)) return Taken::kNo;
    ADA_CHECK(found != state.end() && found->second.dim() <= 1,
              "{}: '{}' has {} bits, which are for biases; expected 2 to 16", entry.where, entry.name,
              entry.bits);
    return Taken::kYes;
  }

  Taken take_transposed(const FileEntry& entry) {
    const int32_t index = entry.port.empty() ? names_.transposed_weight(entry.name) : kNone;
    if (index == kNone) return Taken::kNo;
    const Layer& layer = sim_.weights()[index].layer;
    const int64_t channels = editor_.source_weight(index).size(layer.axes.channel);
    return take_weight(index, transposed(entry, channels));
  }

  Taken take_weight(int32_t index, const FileEntry& entry) {
    const QuantizedWeight& weight = sim_.weights()[index];
    if (weight.is_fixed) return Taken::kFixed;
    ADA_CHECK(
        !weight.trained,
        "{}: AdaScale trained the codes of {}, and loading would round them anew; make a new simulation",
        entry.where, parameter(index));
    Encoding encoding = encoding_from(entry, weight, editor_.source_weight(index).cpu());
    const auto [place, is_new] = weights_.try_emplace(index, std::move(encoding));
    ADA_CHECK(is_new || is_same(place->second, encoding),
              "{}: is tied to {}, which the file has another encoding for", entry.where, parameter(index));
    return Taken::kYes;
  }

  Taken take_activation(int32_t index, const FileEntry& entry) {
    const ActivationQuantizer& quantizer = sim_.activations()[index];
    if (quantizer.is_fixed) return Taken::kFixed;
    const ActivationFromFile found = activation_from(entry, quantizer);
    const auto [place, is_new] = activations_.try_emplace(index, found);
    ADA_CHECK(is_new || place->second == found,
              "{}: one quantizer, {} {} {}, has two encodings in the file that differ", entry.where,
              quantizer.module, quantizer.port, quantizer.index);
    return Taken::kYes;
  }

  std::vector<int32_t> missing_weights() const {
    std::vector<int32_t> missing;
    for (int32_t i = 0; i < static_cast<int32_t>(sim_.weights().size()); ++i)
      if (!weights_.contains(i) && !sim_.weights()[i].encoding) missing.push_back(i);
    return missing;
  }

  std::vector<int32_t> missing_activations() const {
    std::vector<int32_t> missing;
    for (int32_t i = 0; i < static_cast<int32_t>(sim_.activations().size()); ++i) {
      const ActivationQuantizer& quantizer = sim_.activations()[i];
      if (!activations_.contains(i) && !quantizer.is_fixed && quantizer.off_reason.empty())
        missing.push_back(i);
    }
    return missing;
  }

  void turn_off_missing() {
    for (const int32_t index : missing_activations()) editor_.turn_off_activation(index, kMissing);
  }

  void drop_missing_weights() {
    std::vector<int32_t> missing;
    for (int32_t i = 0; i < static_cast<int32_t>(sim_.weights().size()); ++i)
      if (!sim_.weights()[i].encoding) missing.push_back(i);
    for (auto index = missing.rbegin(); index != missing.rend(); ++index) editor_.turn_off_weight(*index);
  }

  const QuantizationSimModel& sim_;
  SimEditor editor_;
  std::string path_;
  const LoadOptions& options_;
  EncodingNames names_;
  std::map<int32_t, Encoding> weights_;
  std::map<int32_t, ActivationFromFile> activations_;
};

/// Compares the file's entries with the parts; collects objections and ignored entries.
class Loader {
 public:
  Loader(const std::vector<SimPart>& targets, const LoadOptions& options) : options_(options) {
    for (const SimPart& target : targets) parts_.emplace_back(target, options_);
  }

  void take(FileEntry entry, Objections& objections) {
    const auto renamed = options_.names.find(entry.name);
    if (renamed != options_.names.end()) {
      used_names_.insert(entry.name);
      entry.name = renamed->second;
    }
    try {
      place(entry, objections);
    } catch (const Error& error) {  // boundary: one objection among others
      if (error.fault() == Error::Fault::kInternal) throw;
      objections.add("{}", error.what());
    }
  }

  void check_whole(const std::string& file, Objections& objections) const {
    for (const auto& [name, ours] : options_.names)
      if (!used_names_.contains(name))
        objections.add("{}: names: the file has no '{}'; leave it out", file, name);
    if (options_.partial || !options_.strict) return;
    for (const Part& part : parts_) part.check_missing(file, objections);
  }

  void apply() {
    for (Part& part : parts_) part.apply();
  }
  std::vector<std::string> take_passed_over() { return std::move(passed_over_); }

 private:
  void place(const FileEntry& entry, Objections& objections) {
    bool has_no_quantizer = false;
    for (Part& part : parts_) {
      const Part::Taken taken = part.take(entry);
      if (taken == Part::Taken::kYes) return;
      if (taken == Part::Taken::kFixed)
        return passed_over_.push_back(fmt::format("{}: fixed by an earlier load", entry.where));
      has_no_quantizer = has_no_quantizer || taken == Part::Taken::kHasNoQuantizer;
    }
    const std::string text = has_no_quantizer ? "has no quantizer in this simulation" : "is not in the model";
    if (!options_.strict) return passed_over_.push_back(fmt::format("{}: {}", entry.where, text));
    const std::string cure = has_no_quantizer ? "; quantize it, or load without strict"
                                              : did_you_mean(entry.name, known_names(entry));
    objections.add("{}: '{}' {}{}", entry.where, entry.name, text, cure);
  }

  std::vector<std::string> known_names(const FileEntry& entry) const {
    std::vector<std::string> names;
    for (const Part& part : parts_)
      for (std::string& name : part.known_names(entry)) names.push_back(std::move(name));
    return names;
  }

  const LoadOptions& options_;
  std::vector<Part> parts_;
  std::set<std::string> used_names_;
  std::vector<std::string> passed_over_;
};

}  // namespace

std::vector<std::string> load_encodings(const std::vector<SimPart>& targets, const std::string& text,
                                        const std::string& origin, const LoadOptions& options) {
  const at::NoGradGuard no_grad;
  for (const SimPart& target : targets) target.sim.check_unchanged();
  Objections objections;
  Loader loader(targets, options);
  for (FileEntry& entry : read_encodings(text, origin, objections)) loader.take(std::move(entry), objections);
  loader.check_whole(origin, objections);
  objections.raise();
  loader.apply();
  return loader.take_passed_over();
}

std::vector<std::string> load_encodings(QuantizationSimModel& sim, const std::string& path,
                                        const LoadOptions& options) {
  return load_encodings({{sim, ""}}, read_text_file(path, "an encodings file"), path, options);
}

}  // namespace adascale
