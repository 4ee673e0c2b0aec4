#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace adascale {

/// XXH3's 128 bits of all that is added, in order. Tells apart what differs by accident, not by intent.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;

  void add(int64_t number);
  void add(std::string_view text);  ///< with its length, so that "a", "b" is not "ab"
  void add(
      const at::Tensor& tensor);  ///< dtype, sizes and values, on any device; sizes alone where it is meta
  void add_value(const c10::IValue& value);  ///< a tensor, or anything else by its text
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace adascale
