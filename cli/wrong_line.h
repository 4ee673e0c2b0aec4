#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace adascale {

/// Throws (user) unless the first word is a command of `app`, or one of its options.
void check_first_word(const std::vector<std::string>& args, const CLI::App& app);

/// Throws (user) what is wrong with the words behind `command`, which CLI11 refused with `error`: where, got,
/// expected, cure, all faults at once.
[[noreturn]] void refuse_line(const CLI::App& command, const std::vector<std::string>& args,
                              const CLI::ParseError& error);

}  // namespace adascale
