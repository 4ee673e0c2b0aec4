#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "adascale/run/inspection.h"
#include "adascale/run/pages.h"
#include "adascale/run/plan_text.h"
#include "adascale/run/run_plan.h"
#include "cli/commands.h"
#include "cli/data_flags.h"
#include "cli/page_file.h"
#include "cli/quantize_flags.h"

namespace adascale {
namespace {

void inspect(const QuantizeRequest& request, const PageFile& page, const Doors& doors) {
  page.check();
  OpenedModel opened = door_of(request, doors).open(request.model, request.data);
  check_is_whole(opened, "adascale quantize --dry-run shows a model block by block");
  const std::vector<StoredQuantizer> quantizers = take_out_quantizers(opened.program);
  std::vector<ModelPlan> parts;
  parts.push_back(plan_model(std::move(opened.program), request, opened.is_shared));
  const ModelPlan& plan = parts.front();
  if (page.is_asked_for())
    page.write(
        inspection_page(inspection_json(request.model, plan, request.training.train_outside, quantizers)));
  fmt::print("{}: {}\n", request.model, summarize(parts));
  fmt::print("\ninputs\n{}", describe_inputs(plan.sim.program()));
  fmt::print("\nblocks (*) among the module calls with layers\n{}",
             describe_calls(plan.sim.program(), plan.blocks));
  fmt::print("\nlayers\n{}", describe_layers(plan, request.training.train_outside));
  fmt::print("\nleft in full precision\n{}", describe_left_out(plan));
  fmt::print("\nbatch norms\n{}", describe_batch_norms(plan));
  if (!quantizers.empty()) fmt::print("\nactivation quantizers that it holds\n{}", describe(quantizers));
  fmt::print("\nsize    {}\n", describe_size(plan.sim));
  if (page.is_asked_for()) fmt::print("wrote   {}\n", page.path());
}

}  // namespace

Command inspect_command(CLI::App& app, const Doors& doors) {
  auto flags = std::make_shared<QuantizeFlags>();
  CLI::App* command =
      app.add_subcommand("inspect", "show a model's blocks and layers and what would be quantized");
  command->add_option("MODEL", flags->request.model, describe(doors))->required();
  add_data_flags(*command, flags->request.data, doors)
      ->description(
          "not needed, but for a model whose inputs cannot be guessed: what it would be quantized on");
  add_grid_flags(*command, *flags);
  flags->request.dry_run = true;
  auto page = std::make_shared<PageFile>(*command);
  return {command, [flags, page, &doors] { inspect(flags->read(), *page, doors); }};
}

}  // namespace adascale
