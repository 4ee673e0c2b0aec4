#include "adascale/tune/failure.h"

#include <c10/util/Exception.h>
#include <fmt/ranges.h>

#include <new>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/core/spelling.h"

namespace adascale {
namespace {

/// For the end of a message: "; 2 finished blocks in DIR: ..." or, where none are kept, the blocks whose weights are
/// on their grids already in the caller's simulation. Empty before the first block.
std::string describe_folded(const std::vector<std::string>& names, const std::string& going_on) {
  constexpr size_t kShown = 6;
  if (!going_on.empty()) return "; " + going_on;
  if (names.size() > kShown)
    return fmt::format("; folded before it: {} to {}, {} blocks", names.front(), names.back(), names.size());
  return names.empty() ? "" : fmt::format("; folded before it: {}", fmt::join(names, ", "));
}

}  // namespace

void rethrow_naming_folded(const std::vector<std::string>& names, const std::string& block,
                           const std::string& going_on, const AdaScaleOptions& options) {
  const std::string folded = describe_folded(names, going_on);
  try {
    throw;
  } catch (const Error& error) {  // boundary: says what a failure leaves behind
    throw Error(error.fault(), error.what() + folded);
  } catch (const c10::OutOfMemoryError& error) {  // boundary: the estimates were too low
    fail("{}: {}; give smaller batches, smaller blocks ({}) or less {}{}", block,
         first_line(error.what_without_backtrace()), option("blocks"), option("device_activation_memory"),
         folded);
  } catch (const c10::Error& error) {  // boundary: likewise, libtorch's pages in one line
    // Torch says only in words whether this is its reason, and words are not parsed.
    if (options.deterministic)
      fail("{}: {}; if an operator has no deterministic algorithm, leave {} out{}", block,
           first_line(error.what_without_backtrace()), option("deterministic"), folded);
    throw Error(Error::Fault::kInternal, first_line(error.what_without_backtrace()) + folded);
  } catch (const std::bad_alloc&) {  // boundary: likewise, of the host's memory
    fail("{}: the host is out of memory; give smaller batches, smaller blocks ({}) or less {}{}", block,
         option("blocks"), option("activation_memory"), folded);
  } catch (...) {  // boundary: the caller's own exception keeps its type
    if (!folded.empty()) log_line(fmt::format("stopped in {}{}", block, folded));
    throw;
  }
}

}  // namespace adascale
