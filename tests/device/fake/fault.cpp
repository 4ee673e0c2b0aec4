#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include "device/fake/arena.h"

namespace fake_device {
namespace {

struct sigaction before;

void on_fault(int, siginfo_t* info, void*) {
  if (Arena::get().holds(info->si_addr)) {
    constexpr char kText[] = "\nfake device: the host touched device memory\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof kText - 1);
    void* frames[32];
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
  }
  // The access is repeated for the previous handler: faulthandler prints Python's
  // stack, the default kills.
  sigaction(SIGSEGV, &before, nullptr);
}

[[maybe_unused]] const bool is_installed = [] {
  Arena::get();
  void* frame;
  backtrace(&frame, 1);  // loads libgcc now, and not in the handler
  struct sigaction action = {};
  action.sa_sigaction = &on_fault;
  action.sa_flags = SA_SIGINFO;
  return sigaction(SIGSEGV, &action, &before) == 0;
}();

}  // namespace
}  // namespace fake_device
