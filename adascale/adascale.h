#pragma once
/// Everything a C++ program needs: quantize in one call, or load a program, simulate, train, evaluate, export.
#include "adascale/formats/encodings/load.h"
#include "adascale/formats/format.h"
#include "adascale/io/pt2.h"
#include "adascale/io/safetensors.h"
#include "adascale/run/evaluate.h"
#include "adascale/run/pages.h"
#include "adascale/run/quantize.h"
#include "adascale/run/report_json.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/adascale.h"
#include "adascale/tune/blocks.h"
#include "adascale/tune/recipe.h"
