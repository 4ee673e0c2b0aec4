#pragma once
#include <string>

#include "adascale/run/setup.h"

namespace adascale {

// A setup as text for people; every text ends with a newline unless noted.

/// A line per user input: name, dtype, shape.
std::string describe_inputs(const Program& program);
/// A row per layer to quantize: kind, shape, grid and, if any, the block that trains it.
std::string describe_layers(const Setup& setup);
/// A line per layer left in full precision, with the reason.
std::string describe_left_out(const Setup& setup);
/// A line per batch norm: the layer it is folded into, or why it stays.
std::string describe_batch_norms(const Setup& setup);
/// "6 blocks, 36 layers, int4 symmetric per channel; activations in full precision", no newline.
std::string summarize(const Setup& setup);
/// "90.9 MB -> 52.1 MB, the quantized layers 42.5 MB -> 5.4 MB", no newline.
std::string describe_size(const QuantizationSimModel& sim);

}  // namespace adascale
