#pragma once

#include <c10/core/Stream.h>

#include <functional>

namespace fake_device {

/// A copy to the device that the host does not wait for, on a stream of its own, is done as late as a GPU may
/// do it: when something waits for it. Who forgets to wait reads what was there before.
bool may_defer();
void defer(std::function<void()> copy);
/// Does what was deferred on the stream up to `moment`, a value of deferred_so_far()
/// on it; all of it without.
void catch_up(c10::StreamId stream, size_t moment = SIZE_MAX);
size_t deferred_so_far(c10::StreamId stream);
void catch_up_all();

c10::StreamId present_stream();

}  // namespace fake_device
