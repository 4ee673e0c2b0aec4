#pragma once
#include <vector>

namespace adascale {

/// A source file of this room, in the library as text.
struct EmbeddedText {
  const char *name, *text;  ///< "adascale/kernels/group_visit.h"
};

/// What a GPU's compiler reads: group_visit.h first, then what it includes. Written by cmake/EmbedText.cmake.
const std::vector<EmbeddedText>& embedded_texts();

}  // namespace adascale
