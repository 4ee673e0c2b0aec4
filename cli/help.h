#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace adascale {

/// CLI11's help without aliases: an option shows its first name, a switch both of its forms.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(30); }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
};

}  // namespace adascale
