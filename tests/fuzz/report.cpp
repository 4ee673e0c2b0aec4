// The report of a run, as inspect reads it beside a model.
#include "adascale/run/stored_report.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adascale;
  const std::string text(reinterpret_cast<const char*>(data), size);
  fuzz::expect_result_or_objection("r", [&] { read_stored_report(text, "r", "model.pt2").dump(); });
  return 0;
}
