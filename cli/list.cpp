#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <map>

#include "adascale/core/words.h"
#include "adascale/formats/format.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/run/text.h"
#include "adascale/sim/layer_kind.h"
#include "adascale/tune/recipe.h"
#include "cli/commands.h"

namespace adascale {
namespace {

std::vector<Row> format_rows(const Runtimes&) {
  std::vector<Row> rows = {{"format", "files", "what it is"}};
  for (const ExportFormat& format : export_formats())
    rows.push_back({format.name, fmt::format("{}", fmt::join(format.files, ", ")), format.description});
  return rows;
}

std::vector<Row> grid_rows(const Runtimes&) {
  std::vector<Row> rows = {{"grid", "what it is"}};
  for (const GridForm* form : grid_forms()) rows.push_back({form->name(), form->description()});
  return rows;
}

std::vector<Row> layer_rows(const Runtimes&) {
  std::vector<Row> rows = {{"layer", "operator", "weight", "default scales"}};
  for (const LayerKind& kind : layer_kinds())
    rows.push_back({kind.name, kind.op, kind.weight, kind.per_channel ? "per channel" : "per tensor"});
  return rows;
}

std::vector<Row> recipe_rows(const Runtimes&) {
  std::vector<Row> rows = {{"recipe", "iterations", "rate of scales", "of rounding", "what it is"}};
  for (const Recipe& recipe : recipes())
    rows.push_back({recipe.name, std::to_string(recipe.iterations), fmt::format("{:g}", recipe.scale_rate),
                    fmt::format("{:g}", recipe.rounding_rate), recipe.description});
  return rows;
}

std::vector<Row> scheme_rows(const Runtimes&) {
  std::vector<Row> rows = {{"scheme", "what it is"}};
  for (const RangeScheme& scheme : range_schemes()) rows.push_back({scheme.name, scheme.description});
  return rows;
}

std::vector<Row> runtime_rows(const Runtimes& runtimes) {
  std::vector<Row> rows = {{"runtime", "files", "what it is"}};
  for (const Runtime& runtime : runtimes) rows.push_back({runtime.name, runtime.files, runtime.description});
  return rows;
}

const std::map<std::string, std::vector<Row> (*)(const Runtimes&)> kTables = {
    {"formats", format_rows}, {"grids", grid_rows},       {"layers", layer_rows},
    {"recipes", recipe_rows}, {"runtimes", runtime_rows}, {"schemes", scheme_rows}};

std::vector<std::string> tables() {
  std::vector<std::string> names;
  for (const auto& [name, rows] : kTables) names.push_back(name);
  return names;
}

void list(const std::string& what, const Runtimes& runtimes) {
  const auto table = kTables.find(what);
  ADA_CHECK(table != kTables.end(), "list: got {}, expected one of {}{}",
            what.empty() ? "nothing" : fmt::format("'{}'", what), fmt::join(tables(), ", "),
            did_you_mean(what, tables()));
  fmt::print("{}", format_table(table->second(runtimes)));
}

}  // namespace

Command list_command(CLI::App& app, const Runtimes& runtimes) {
  auto what = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("list", "what there is to choose from");
  command->add_option("WHAT", *what, fmt::format("one of {}", fmt::join(tables(), ", ")));
  return {command, [what, &runtimes] { list(*what, runtimes); }, tables()};
}

}  // namespace adascale
