#include "cli/interruption.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>

#include "adascale/core/error.h"
#include "adascale/io/staged_files.h"

namespace adascale {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};

// A handler may do next to nothing, so that it only wakes a thread through this pipe.
int wake[2] = {-1, -1};
struct sigaction before[2];

/// A child that was forked, of a data loader, say, has this handler and this pipe, but is not what they end.
pid_t owner = 0;

void tell(int signal) {
  const auto byte = static_cast<unsigned char>(signal);
  [[maybe_unused]] const ssize_t written = write(wake[1], &byte, 1);
}

void handle(int number) {
  if (getpid() == owner) return tell(number);
  signal(number, SIG_DFL);
  raise(number);
}

std::mutex mutex;
std::string left_behind;

void wait_and_end() {
  unsigned char signal = 0;
  while (read(wake[0], &signal, 1) < 0 && errno == EINTR) {
  }
  if (signal == 0) return;
  StagedFiles::discard_all();
  {
    const std::lock_guard lock(mutex);
    fmt::print(stderr, "\nadascale: interrupted; {}\n", left_behind);
  }
  std::fflush(stderr);
  _exit(128 + signal);
}

std::thread waiting;

}  // namespace

Interruption::Interruption() {
  say("nothing was written");
  owner = getpid();
  ADA_ASSERT(pipe2(wake, O_CLOEXEC) == 0, "no pipe can be made");
  waiting = std::thread(wait_and_end);
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  for (int i = 0; i < 2; ++i) {
    sigaction(kSignals[i], &action, &before[i]);
    if (before[i].sa_handler == SIG_IGN)
      sigaction(kSignals[i], &before[i], nullptr);  // as the caller wants it
  }
}

void Interruption::say(std::string leaves) {
  const std::lock_guard lock(mutex);
  left_behind = std::move(leaves);
}

Interruption::~Interruption() {
  for (int i = 0; i < 2; ++i) sigaction(kSignals[i], &before[i], nullptr);
  tell(0);
  waiting.join();
  for (const int end : wake) close(end);
}

}  // namespace adascale
