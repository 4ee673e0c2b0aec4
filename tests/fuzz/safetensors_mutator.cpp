// For .safetensors files: changes the header, or the JSON that a checkpoint keeps as its first tensor.
#include <cstring>
#include <nlohmann/json.hpp>

#include "fuzz/mutate.h"

namespace adascale::fuzz {
namespace {

struct Parts {
  std::string header, data;
};

Parts parts_of(const std::string& file) {
  uint64_t length = 0;
  if (file.size() < sizeof length) return {};
  std::memcpy(&length, file.data(), sizeof length);
  if (length > file.size() - sizeof length) return {};
  return {file.substr(sizeof length, length), file.substr(sizeof length + length)};
}

/// Changes the text at the start of the data, and moves the tensors behind it. False: there is none.
bool mutate_block(Parts& parts, Random& random) {
  using Json = nlohmann::ordered_json;
  try {
    Json header = Json::parse(parts.header);
    const Json& end_of_block = header.at("block").at("data_offsets").at(1);
    if (!end_of_block.is_number_unsigned() || end_of_block > parts.data.size()) return false;
    const auto end = end_of_block.get<uint64_t>();
    const std::string text = mutate_json(parts.data.substr(0, end), random);
    parts.data = text + parts.data.substr(end);
    header["block"]["shape"] = {text.size()};
    for (Json& tensor : header)
      for (Json& offset : tensor.at("data_offsets"))
        if (offset.is_number_unsigned() && offset >= end) offset = offset.get<uint64_t>() - end + text.size();
    parts.header = header.dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

std::string mutate(const std::string& file, Random& random) {
  Parts parts = parts_of(file);
  if (parts.header.empty()) return mutate_bytes(file);
  const auto what = random() % 3;
  if (what == 0) parts.data = mutate_bytes(parts.data);
  if (what == 1 || (what == 2 && !mutate_block(parts, random)))
    parts.header = mutate_json(parts.header, random);
  const uint64_t length = parts.header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + parts.header + parts.data;
}

}  // namespace
}  // namespace adascale::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return adascale::fuzz::mutate_input(data, size, max_size, seed, adascale::fuzz::mutate);
}
