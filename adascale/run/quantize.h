#pragma once
#include <functional>
#include <string>

#include "adascale/run/run_plan.h"
#include "adascale/tune/report.h"

namespace adascale {

/// Takes whole lines for the user.
using Say = std::function<void(const std::string& text)>;

/// How much of the report is told: a caller that shows what quantize() returns has told its table then.
enum class Told { kSummary, kBlocks };

/// A model and its data in, a folder with the quantized model out: plans the run, trains the blocks, finds
/// the activations' ranges, writes the files. `say` gets the plan, the report and the paths; empty: silent.
/// Throws (user) before any training with what can be known then; the output folder is unchanged after
/// every failure. A dry run ends with the plan, and its report is empty. Of a team (tune/team.h) all train, and
/// the first process alone speaks and writes.
AdaScaleReport quantize(const QuantizeRequest& request, const Doors& doors = {pt2_door()},
                        const Say& say = {}, Told told = Told::kBlocks);

void say_plan(const RunPlan& plan, const Say& say);
/// The part after it. Throws (user) for the plan of a dry run.
AdaScaleReport run(RunPlan& plan, const Say& say, Told told = Told::kBlocks);

}  // namespace adascale
