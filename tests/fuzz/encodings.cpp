#include "adascale/formats/encodings/load.h"

#include "fuzz/fuzz.h"
#include "fuzz/models.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adascale;
  fuzz::silence_notes();
  const std::string text(reinterpret_cast<const char*>(data), size);
  // load_encodings changes the state of a simulation: each input gets its own.
  QuantizationSimModel sim(fuzz::sampled_model(), {});
  fuzz::expect_result_or_objection("e", [&] {
    load_encodings({{sim, ""}}, text, "e", {.strict = size % 2 == 0, .partial = size % 3 != 0});
  });
  return 0;
}
