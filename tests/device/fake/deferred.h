#pragma once

#include <c10/core/Stream.h>

#include <functional>

namespace fake_device {

/// A non-blocking copy to the device on a stream of its own is done as late as a GPU may do it:
/// when something waits for it. Code that forgets to wait reads the old values.
bool may_defer();
void defer(std::function<void()> copy);
/// Does the deferred work of the stream up to `moment`, a value of deferred_so_far() on it;
/// all of it without `moment`.
void catch_up(c10::StreamId stream, size_t moment = SIZE_MAX);
size_t deferred_so_far(c10::StreamId stream);
void catch_up_all();

c10::StreamId present_stream();

}  // namespace fake_device
