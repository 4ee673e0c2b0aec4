#pragma once
#include "adascale/graph/program.h"

namespace adascale {

/// Throws one Error listing every operator that this process cannot run.
void check_operators(const Program& program);

/// Throws Error when a node drops values at random, or normalises with the batch's statistics
/// although it keeps running ones: the model was exported in training mode.
void check_eval_mode(const Program& program);

/// Throws one Error listing every parameter, buffer and constant of the signature
/// that Program::state lacks.
void check_state(const Program& program);

}  // namespace adascale
