#pragma once
#include "adascale/tune/adascale.h"
#include "adascale/tune/preflight.h"
#include "adascale/tune/report.h"

namespace adascale {

/// Within a catch: passes the failure of the block after those of `report` on, and says which ones
/// are folded already. Our errors, libtorch's and a lack of memory say it in their message. Other
/// exceptions are the caller's (an interrupt, a progress sink's own): they go on as they are, and
/// the log says it.
[[noreturn]] void rethrow_naming_folded(const AdaScaleReport& report, const Preflight& plan,
                                        const AdaScaleOptions& options);

}  // namespace adascale
