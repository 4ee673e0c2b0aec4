#include "adascale/io/gguf.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace adascale;
  const fuzz::File file(data, size);
  fuzz::expect_result_or_objection(file.path(), [&] {
    const GgufFile gguf = read_gguf(file.path());
    for (const GgufTensor& tensor : gguf.tensors) {
      const at::Tensor bytes = gguf.bytes(tensor);
      fuzz::touch(bytes.const_data_ptr(), bytes.nbytes());
    }
  });
  return 0;
}
