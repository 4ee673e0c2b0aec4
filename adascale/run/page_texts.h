#pragma once
#include <vector>

#include "adascale/core/embedded_text.h"

namespace adascale {

/// The parts of report.html: page.html first, then what it includes. Written by cmake/EmbedText.cmake.
const std::vector<EmbeddedText>& page_texts();

}  // namespace adascale
