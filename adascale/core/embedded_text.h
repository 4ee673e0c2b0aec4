#pragma once

namespace adascale {

/// A file of the source tree, in the library as text.
struct EmbeddedText {
  const char *name, *text;  ///< "adascale/kernels/group_visit.h"
};

}  // namespace adascale
