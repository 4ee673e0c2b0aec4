#include "adascale/formats/format.h"

namespace adascale {
namespace {

struct NamedFit {
  std::string format;
  FitGrid fit;
};

std::string stored_as(const Grid& grid) {
  return fmt::format("{} with {} scales", to_string(grid), c10::toString(grid.scale_dtype));
}

/// Applies each in turn, then each again: a grid that does not change the second time suits all.
FittedGrid fit_all(const std::vector<NamedFit>& fits, const Layer& layer, const at::Tensor& weight,
                   const Grid& asked) {
  FittedGrid fitted{asked};
  for (const NamedFit& one : fits) {
    FittedGrid next = one.fit(layer, weight, fitted.grid);
    if (next.note.empty()) next.note = fitted.note;
    fitted = std::move(next);
  }
  for (const NamedFit& one : fits) {
    const Grid again = one.fit(layer, weight, fitted.grid).grid;
    ADA_CHECK(again == fitted.grid, "{}: {} holds {}, {} holds {}: no grid is both; write one of the formats",
              layer.name, one.format, stored_as(again), fits.back().format, stored_as(fitted.grid));
  }
  return fitted;
}

}  // namespace

FitGrid fit_grids(const std::vector<ChosenFormat>& formats) {
  std::vector<NamedFit> fits;
  for (const auto& [format, target] : formats)
    if (format->fit)
      fits.push_back({target.empty() ? format->name : format->name + ":" + target, format->fit(target)});
  if (fits.empty()) return {};
  return [fits](const Layer& layer, const at::Tensor& weight, const Grid& asked) {
    return fit_all(fits, layer, weight, asked);
  };
}

}  // namespace adascale
