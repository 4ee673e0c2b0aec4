#include "adascale/run/bit_target.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/spelling.h"
#include "adascale/run/text.h"

namespace adascale {
namespace {

constexpr int kOffered[] = {2, 3, 4, 5, 6, 8};

void check_widths(const QuantizeRequest& request, Objections& objections) {
  const std::vector<double>& widths = request.target_widths;
  if (widths.empty()) return;
  if (!has_bit_target(request))
    objections.add("{}: is for a target; add {} or {}", option("target_widths"), option("target_bits"),
                   option("target_size"));
  for (const double width : widths)
    if (width != std::floor(width))
      objections.add("{}: got {}, expected whole numbers", option("target_widths"), width);
}

void check_size(const QuantizeRequest& request, Objections& objections) {
  if (!request.target_size.empty() && !parse_bytes(request.target_size))
    objections.add("{}: got '{}', expected a size such as 90MB or 1.5GiB", option("target_size"),
                   request.target_size);
}

/// Other options that give layers their bits.
void check_others(const QuantizeRequest& request, Objections& objections) {
  if (request.sim.default_param_bw != kDefaultParamBits)
    objections.add("{}: is for all layers, and {} chooses for each; leave out one of them",
                   option("param_bw", request.sim.default_param_bw), asked_target(request));
  const std::vector<std::string> grids = names_of_grids();
  if (std::find(grids.begin(), grids.end(), request.sim.grid) == grids.end()) return;  // refused by its rule
  if (const auto fixed = grid_form_named(request.sim.grid)->fixed())
    objections.add("{}: grid {} has {} bits alone, nothing can be chosen; leave it out, or give {}",
                   asked_target(request), request.sim.grid, fixed->bits, option("grid", "int"));
}

/// Those given, else those offered.
std::vector<int> wanted_widths(const QuantizeRequest& request) {
  std::vector<int> widths(std::begin(kOffered), std::end(kOffered));
  if (!request.target_widths.empty())
    widths.assign(request.target_widths.begin(), request.target_widths.end());
  std::sort(widths.begin(), widths.end());
  widths.erase(std::unique(widths.begin(), widths.end()), widths.end());
  return widths;
}

}  // namespace

std::string asked_target(const QuantizeRequest& request) {
  if (!request.target_size.empty()) return option("target_size", request.target_size);
  return fmt::format("{} {}", option("target_bits"), request.target_bits);
}

bool has_bit_target(const QuantizeRequest& request) {
  return request.target_bits != 0 || !request.target_size.empty();
}

bool chooses_outside(const QuantizeRequest& request) {
  return has_bit_target(request) && request.training.train_outside && request.outside_bw == kOffBits;
}

void check_bit_target(const QuantizeRequest& request, Objections& objections) {
  check_widths(request, objections);
  if (!has_bit_target(request)) return;
  if (request.target_bits != 0 && !request.target_size.empty())
    objections.add("{} and {}: both are given, expected one of them", option("target_bits"),
                   option("target_size"));
  check_size(request, objections);
  check_others(request, objections);
}

std::vector<int> widths_for_target(const QuantizeRequest& request, const std::vector<ChosenFormat>& formats) {
  std::vector<int> widths = wanted_widths(request);
  std::vector<std::string> names, unpacked;
  for (const auto& [format, target] : formats) {
    names.push_back(format->name);
    if (format->weights_as == WeightsAs::kValues) unpacked.push_back(format->name);
    std::erase_if(widths, [&, &held = format->widths](int width) {
      return !held.empty() && std::find(held.begin(), held.end(), width) == held.end();
    });
  }
  ADA_CHECK(request.target_size.empty() || unpacked.size() < formats.size(),
            "{}: {} stores numbers in the model's dtype, as many bytes at all widths; name a packed format "
            "({}), or give {}",
            asked_target(request), fmt::join(unpacked, ", "), option("formats"), option("target_bits"));
  ADA_CHECK(widths.size() > 1,
            "{}: of the widths {}, {} hold {}, expected two or more to choose from; name other formats ({}) "
            "or widths ({})",
            asked_target(request), fmt::join(wanted_widths(request), ", "), fmt::join(names, ", "),
            widths.empty() ? "none" : fmt::format("{}", fmt::join(widths, ", ")), option("formats"),
            option("target_widths"));
  return widths;
}

int64_t budget_of(const QuantizeRequest& request, int64_t weights, int64_t rest) {
  if (!request.target_size.empty()) return parse_bytes(request.target_size).value() - rest;
  return static_cast<int64_t>(std::floor(request.target_bits * static_cast<double>(weights) / 8));
}

}  // namespace adascale
