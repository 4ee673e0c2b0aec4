#include "cli/fail_if.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/words.h"

namespace adascale {
namespace {

constexpr const char* kFlag = "--fail-if";

struct Measure {
  const char *name, *about;
  FailIf::Source source;
};
constexpr auto kQuantize = FailIf::Source::kQuantize, kEvaluate = FailIf::Source::kEvaluate;

// Of several layers, outputs or programs the worst counts.
constexpr Measure kMeasures[] = {
    {"sqnr_min", "the lowest SQNR of a quantized weight, in dB", kQuantize},
    {"worse_blocks", "blocks that training did not improve", kQuantize},
    {"left_out", "layers in full precision", kQuantize},
    {"size_mb", "what was written, in MB of 1,000,000 bytes", kQuantize},
    {"kl", "KL divergence a token", kEvaluate},
    {"perplexity", "of the quantized model", kEvaluate},
    {"same_top", "top-1 agreement, 0 to 1", kEvaluate},
    {"cosine", "of the outputs", kEvaluate},
    {"sqnr_min", "the lowest SQNR of an output, in dB", kEvaluate},
};

struct Bound {
  std::string name;
  bool is_upper;
  double value;

  // NaN is beyond any.
  bool is_crossed_by(double found) const { return is_upper ? !(found <= value) : !(found >= value); }
};

Bound bound_of(const std::string& text) {
  const size_t sign = text.find_first_of("<>");
  double value = 0;
  const bool is_bound = sign != std::string::npos && CLI::detail::lexical_cast(text.substr(sign + 1), value);
  ADA_CHECK(is_bound, "{}: got '{}', expected NAME>VALUE or NAME<VALUE, such as 'kl>0.05'", kFlag, text);
  return {text.substr(0, sign), text[sign] == '>', value};
}

bool is_measured(const std::string& name, FailIf::Source source) {
  return std::any_of(std::begin(kMeasures), std::end(kMeasures), [&](const Measure& measure) {
    return name == measure.name && source == measure.source;
  });
}

void check_name(const std::string& name, FailIf::Source source) {
  if (is_measured(name, source)) return;
  ADA_CHECK(source == kEvaluate || !is_measured(name, kEvaluate),
            "{}: {} needs held-out data, which quantize does not take; give it to adascale evaluate", kFlag,
            name);
  std::vector<std::string> known;
  for (const Measure& measure : kMeasures)
    if (measure.source == source) known.emplace_back(measure.name);
  fail("{}: got '{}', expected one of {}{}", kFlag, name, fmt::join(known, ", "), did_you_mean(name, known));
}

}  // namespace

FailIf::FailIf(CLI::App& app, Source source) : source_(source) {
  std::vector<std::string> rows;
  for (const Measure& measure : kMeasures)
    if (measure.source == source) rows.push_back(fmt::format("{}, {}", measure.name, measure.about));
  app.add_option(
         kFlag, texts_,
         fmt::format("end with exit code 3 if a result is beyond a bound, 'NAME>VALUE' or 'NAME<VALUE'; {}",
                     fmt::join(rows, "; ")))
      ->type_name("BOUND");
}

void FailIf::check_bounds() const {
  Objections objections;
  for (const std::string& text : texts_) objections.gather([&] { check_name(bound_of(text).name, source_); });
  objections.raise();
}

void FailIf::check(const std::map<std::string, double>& values) const {
  std::vector<std::string> crossed;
  for (const std::string& text : texts_) {
    const Bound bound = bound_of(text);
    const auto found = values.find(bound.name);
    ADA_CHECK(found != values.end(), "{}: {} was not measured: no output has it; leave it out", kFlag,
              bound.name);
    if (bound.is_crossed_by(found->second))
      crossed.push_back(
          fmt::format("{} is {:.6g}, which {} '{}' does not allow", bound.name, found->second, kFlag, text));
  }
  if (!crossed.empty()) throw BoundCrossed(fmt::format("{}", fmt::join(crossed, "; ")));
}

}  // namespace adascale
