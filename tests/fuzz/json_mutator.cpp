// For targets whose input is a JSON document.
#include "fuzz/mutate.h"

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return adascale::fuzz::mutate_input(data, size, max_size, seed, adascale::fuzz::mutate_json);
}
