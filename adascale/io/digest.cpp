#include "adascale/io/digest.h"

#include <ATen/core/ivalue.h>
#include <fmt/format.h>

#include <sstream>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace adascale {

struct Digest::State {
  XXH3_state_t hash;
};

Digest::Digest() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->hash);
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;

void Digest::add(int64_t number) {
  XXH3_128bits_update(&state_->hash, &number, sizeof(number));
}

void Digest::add(std::string_view text) {
  add(static_cast<int64_t>(text.size()));
  XXH3_128bits_update(&state_->hash, text.data(), text.size());
}

void Digest::add(const at::Tensor& tensor) {
  add(std::string_view(c10::toString(tensor.scalar_type())));
  for (const int64_t size : tensor.sizes()) add(size);
  if (tensor.is_meta()) return;
  const at::Tensor values = tensor.detach().cpu().contiguous();
  XXH3_128bits_update(&state_->hash, values.const_data_ptr(), values.nbytes());
}

void Digest::add_value(const c10::IValue& value) {
  if (value.isTensor()) return add(value.toTensor());
  std::ostringstream text;
  text << value;
  add(std::string_view(text.str()));
}

std::string Digest::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->hash);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace adascale
