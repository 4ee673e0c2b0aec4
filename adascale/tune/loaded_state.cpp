#include "adascale/tune/loaded_state.h"

namespace adascale {

at::Tensor LoadedState::get(ValueId value) {
  const auto known = kept_.find(value);
  if (known != kept_.end()) return known->second;
  const at::Tensor there = load_(value).to(device_);
  // No other owner: it was computed, or copied to the device.
  const bool is_own = there.storage().use_count() == 1;
  const auto bytes = is_own ? static_cast<int64_t>(there.nbytes()) : 0;
  const bool is_first = used_ == 0 && device_.is_cpu();  // a device's memory is planned to the byte
  if (!is_first && used_ + bytes > budget_) return there;
  used_ += bytes;
  return kept_[value] = there;
}

void LoadedState::forget() {
  kept_.clear();
  used_ = 0;
}

}  // namespace adascale
