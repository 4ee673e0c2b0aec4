#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "adascale/run/setup.h"
#include "adascale/run/setup_text.h"
#include "cli/commands.h"
#include "cli/data_flags.h"
#include "cli/quantize_flags.h"

namespace adascale {
namespace {

void inspect(const std::string& model, const DataRequest& data, QuantizeFlags& flags, const Doors& doors) {
  check_flags(flags);
  check_data_options(data);
  const Setup setup = set_up(door_for(doors, model).open(model, data).program, flags);
  fmt::print("{}: {}\n", model, summarize(setup));
  fmt::print("\ninputs\n{}", describe_inputs(setup.sim.program()));
  fmt::print("\nblocks (*) among the module calls with layers\n{}",
             describe_calls(setup.sim.program(), setup.blocks));
  fmt::print("\nlayers\n{}", describe_layers(setup));
  fmt::print("\nleft in full precision\n{}", describe_left_out(setup));
  fmt::print("\nbatch norms\n{}", describe_batch_norms(setup));
  fmt::print("\nsize    {}\n", describe_size(setup.sim));
}

}  // namespace

Command inspect_command(CLI::App& app, const Doors& doors) {
  auto flags = std::make_shared<QuantizeFlags>();
  auto model = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("inspect", "show a model's blocks and layers and what would be quantized");
  command->add_option("MODEL", *model, describe(doors))->required();
  auto data = std::make_shared<DataRequest>();
  add_data_flags(*command, *data, doors)
      ->description(
          "not needed, but for a model whose inputs cannot be guessed: what it would be quantized on");
  add_grid_flags(*command, *flags);
  return {command, [flags, data, model, &doors] { inspect(*model, *data, *flags, doors); }};
}

}  // namespace adascale
