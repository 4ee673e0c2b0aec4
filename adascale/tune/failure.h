#pragma once
#include <string>
#include <vector>

#include "adascale/tune/adascale.h"

namespace adascale {

/// Within a catch: passes the failure of `block` on, and says which blocks, `folded`, are folded already and, by
/// `going_on`, unless it is empty, how to go on behind them. Our errors, libtorch's and a lack of memory say it in
/// their message. Other exceptions are the caller's (an interrupt, a progress sink's own): they go on as they are, and
/// the log says it.
[[noreturn]] void rethrow_naming_folded(const std::vector<std::string>& folded, const std::string& block,
                                        const std::string& going_on, const AdaScaleOptions& options);

}  // namespace adascale
