// The JSON of a .pt2, as torch.export writes it, with the tensors of our own models.
#include "fuzz/models.h"
#include "fuzz/simulate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adascale;
  const std::string text(reinterpret_cast<const char*>(data), size);
  fuzz::expect_result_or_objection("", [&] {
    Program program = parse_program(text, fuzz::state_of_models());
    fuzz::expect_simulation_or_objection(std::move(program));
  });
  return 0;
}
