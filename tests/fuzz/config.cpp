// AIMET's quantsim config: parsed, merged for op types, and applied to a model.
#include "adascale/sim/config.h"

#include "fuzz/models.h"
#include "fuzz/simulate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adascale;
  fuzz::silence_notes();
  const fuzz::File file(data, size);
  fuzz::expect_result_or_objection(file.path(), [&] {
    const SimConfig config = read_sim_config(file.path());
    for (const char* type : {"", "Gemm", "Conv", "Add"}) weight_rule(config, type);
    fuzz::expect_simulation_or_objection(fuzz::sampled_model(), {.config_file = file.path()});
  });
  return 0;
}
