#pragma once
#include <cstdint>
#include <random>
#include <string>

/// libFuzzer's own mutation, of bytes.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace adascale::fuzz {

using Random = std::mt19937;

/// A document with a few values, keys or members changed, so that most inputs still parse. Text that is
/// no JSON, or nested too deep to be written back, has bytes changed.
std::string mutate_json(const std::string& text, Random& random);

/// libFuzzer's mutation, which may grow the text a little.
std::string mutate_bytes(std::string text);

/// A custom mutator's body: `mutate` makes a new text of the old one. A fourth of the mutations are libFuzzer's.
template <class Mutate>
size_t mutate_input(uint8_t* data, size_t size, size_t max_size, unsigned seed, const Mutate& mutate) {
  Random random(seed);
  if (random() % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string text = mutate(std::string(reinterpret_cast<const char*>(data), size), random);
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  text.copy(reinterpret_cast<char*>(data), text.size());
  return text.size();
}

}  // namespace adascale::fuzz
