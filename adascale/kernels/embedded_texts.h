#pragma once
#include <vector>

#include "adascale/core/embedded_text.h"

namespace adascale {

/// What a GPU's compiler reads: group_visit.h first, then what it includes. Written by cmake/EmbedText.cmake.
const std::vector<EmbeddedText>& embedded_texts();

}  // namespace adascale
