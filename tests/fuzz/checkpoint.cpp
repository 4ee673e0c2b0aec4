// A finished block of an interrupted run, and its last stage. Each input is read twice: with its digest, and with the right one,
// which no fuzzer guesses.
#include <cstring>
#include <optional>

#include "adascale/io/digest.h"
#include "adascale/io/safetensors.h"
#include "adascale/io/safetensors_header.h"
#include "fuzz/checkpoint_weights.h"
#include "fuzz/fuzz.h"

using namespace adascale;

namespace {

void read(const std::string& bytes) {
  static const std::vector<ExpectedWeight> weights = fuzz::expected_weights();
  const fuzz::File file(bytes.data(), bytes.size());
  fuzz::expect_result_or_objection(file.path(), [&] {
    for (Encoding& encoding : read_block(file.path(), weights).encodings) {
      for (const at::Tensor* tensor : tensors_of(encoding))
        fuzz::touch(tensor->const_data_ptr(), tensor->nbytes());
      dequantize(encoding);
    }
  });
  static const SavedStage like = fuzz::expected_stage();
  fuzz::expect_result_or_objection(file.path(), [&] { read_stage(file.path(), like); });
}

/// The file with its digest set right; nothing where it has no place for one.
std::optional<std::string> with_right_digest(std::string bytes) {
  const fuzz::File file(bytes.data(), bytes.size());
  try {
    const std::vector<NamedTensor> tensors = read_safetensors(file.path());
    if (tensors.empty() || tensors.back().tensor.nbytes() != 32) return {};
    Digest digest;
    for (size_t i = 0; i + 1 < tensors.size(); ++i) {
      digest.add(tensors[i].name);
      digest.add(tensors[i].tensor);
    }
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto entries = parse_safetensors_header("", bytes.substr(8, header), bytes.size() - 8 - header);
    return bytes.replace(8 + header + entries.back().begin, 32, digest.hex());
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  if (const auto mended = with_right_digest(bytes); mended && *mended != bytes) read(*mended);
  return 0;
}
