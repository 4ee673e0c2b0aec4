// A whole .pt2: the zip, its tensors and its program.
#include "adascale/io/pt2.h"

#include "fuzz/simulate.h"

// torch's zip reader leaks its state where it refuses a file.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libtorch_cpu.so";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adascale;
  const fuzz::File file(data, size);
  fuzz::expect_result_or_objection(file.path(), [&] {
    Program program = load_program(file.path());
    for (const auto& [name, tensor] : program.state)
      if (tensor.is_contiguous()) fuzz::touch(tensor.const_data_ptr(), tensor.nbytes());
    fuzz::expect_simulation_or_objection(std::move(program));
  });
  return 0;
}
