#include "adascale/formats/encodings/load.h"
#include "adascale/io/pt2.h"
#include "fuzz.h"

using namespace adascale;

namespace {

// The state that load_encodings changes is reset for each input; reading the model again
// would take most of the time.
const Program& model() {
  static const Program program = load_program(std::getenv("ADASCALE_FUZZ_MODEL"));
  return program;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  QuantizationSimModel sim(model(), {});
  fuzz::expect_result_or_objection("e", [&] {
    load_encodings({{sim, ""}}, text, "e", {.strict = size % 2 == 0, .partial = size % 3 != 0});
  });
  return 0;
}
