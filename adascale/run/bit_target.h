#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/formats/format.h"
#include "adascale/run/request.h"

namespace adascale {

/// Whether the request leaves layers' bits to a target.
bool has_bit_target(const QuantizeRequest& request);

/// Whether the target chooses for the layers outside the blocks too: train_outside is given, and outside_bw is not.
bool chooses_outside(const QuantizeRequest& request);

/// As its caller wrote it: "--target-bits 3.5".
std::string asked_target(const QuantizeRequest& request);

/// Objects to targets that contradict each other or another option.
void check_bit_target(const QuantizeRequest& request, Objections& objections);

/// The widths that the formats let layers choose from, ascending. Throws (user) where these are not two, or where a
/// format's files are as large at all widths and a size is asked for.
std::vector<int> widths_for_target(const QuantizeRequest& request, const std::vector<ChosenFormat>& formats);

/// Bytes for the quantized layers: `weights` in number, beside `rest` bytes of the model.
int64_t budget_of(const QuantizeRequest& request, int64_t weights, int64_t rest);

}  // namespace adascale
