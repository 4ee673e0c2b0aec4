#include "device/fake/deferred.h"

#include <deque>
#include <map>
#include <mutex>

namespace fake_device {
namespace {

struct Queue {
  std::deque<std::function<void()>> copies;
  size_t added = 0, done = 0;
};

std::mutex queues_lock;
std::map<c10::StreamId, Queue> queues;

}  // namespace

bool may_defer() {
  return present_stream() != 0;
}

void defer(std::function<void()> copy) {
  const std::lock_guard guard(queues_lock);
  Queue& queue = queues[present_stream()];
  queue.copies.push_back(std::move(copy));
  ++queue.added;
}

void catch_up(c10::StreamId stream, size_t moment) {
  while (true) {
    std::function<void()> next;
    {
      const std::lock_guard guard(queues_lock);
      Queue& queue = queues[stream];
      if (queue.copies.empty() || queue.done >= moment) return;
      next = std::move(queue.copies.front());
      queue.copies.pop_front();
      ++queue.done;
    }
    next();
  }
}

size_t deferred_so_far(c10::StreamId stream) {
  const std::lock_guard guard(queues_lock);
  return queues[stream].added;
}

void catch_up_all() {
  for (c10::StreamId stream = 0; stream < 16; ++stream) catch_up(stream);
}

}  // namespace fake_device
