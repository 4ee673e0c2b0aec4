#include "adascale/io/safetensors.h"

#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adascale;
  const fuzz::File file(data, size);
  fuzz::expect_result_or_objection(file.path(), [&] {
    for (const NamedTensor& named : read_safetensors(file.path()))
      fuzz::touch(named.tensor.const_data_ptr(), named.tensor.nbytes());
  });
  return 0;
}
