#pragma once
#include <string>

#include "adascale/run/run_plan.h"

namespace adascale {

// Plans as text for people; every text ends with a newline unless noted.

/// What `--dry-run` prints: model, data, training, device, memory, what is kept to resume, sizes,
/// time, files, notes, layers left out.
std::string describe(const RunPlan& plan);

/// A line per user input: name, dtype, shape.
std::string describe_inputs(const Program& program);
/// A row per layer to quantize: kind, shape, grid and, if any, the block that trains it. `train_outside`:
/// layers outside the blocks are trained too.
std::string describe_layers(const ModelPlan& plan, bool train_outside);
/// A line per layer left in full precision, with the reason.
std::string describe_left_out(const ModelPlan& plan);
/// The same of all parts, and of what is outside them.
std::string describe_left_out(const RunPlan& plan);
/// The number of those lines.
size_t count_left_out(const RunPlan& plan);
/// A line per batch norm: the layer it is folded into, or why it stays.
std::string describe_batch_norms(const ModelPlan& plan);
/// "6 blocks, 36 layers, int4 symmetric per channel; activations in full precision", no newline.
std::string summarize(const std::vector<ModelPlan>& parts);
/// "90.9 MB -> 52.1 MB as packed codes and scales, the quantized layers 42.5 MB -> 5.4 MB, 4.06 bits a weight", no
/// newline; of formats that pack nothing it says that they take as many bytes as before.
std::string describe_size(const ModelToWrite& model, const std::vector<ChosenFormat>& formats = {});

}  // namespace adascale
