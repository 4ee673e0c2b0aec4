#include "cli/flags.h"

#include "adascale/core/spelling.h"

namespace adascale {
namespace {

// The alias is accepted, but HelpFormatter leaves it out.
std::string flags_of(const std::string& name, const OptionRule& rule) {
  return rule.alias.empty() ? flag_of(name) : flag_of(name) + "," + flag_of(rule.alias);
}

}  // namespace

void FlagAdder::add(const std::string& name, bool& value, const std::string& help, const OptionRule& rule) {
  const std::string on = flags_of(name, rule), off = "!--no-" + flag_of(name).substr(2);
  app_.add_flag(on + "," + off, value, help + (value ? " (default)" : " (off by default)"));
}

void FlagAdder::add(const std::string& name, int64_t& value, const std::string& help,
                    const OptionRule& rule) {
  app_.add_option(flags_of(name, rule), value, help)->type_name("N")->capture_default_str();
}

void FlagAdder::add(const std::string& name, double& value, const std::string& help, const OptionRule& rule) {
  app_.add_option(flags_of(name, rule), value, help)->type_name("X")->capture_default_str();
}

void FlagAdder::add(const std::string& name, std::string& value, const std::string& help,
                    const OptionRule& rule) {
  app_.add_option(flags_of(name, rule), value, help)->type_name("TEXT")->capture_default_str();
}

void FlagAdder::add(const std::string& name, std::optional<int64_t>& value, const std::string& help,
                    const OptionRule& rule) {
  app_.add_option(flags_of(name, rule), value, help)->type_name("N");
}

void FlagAdder::add(const std::string& name, std::vector<double>& value, const std::string& help,
                    const OptionRule& rule) {
  app_.add_option(flags_of(name, rule), value, help)->type_name("X");
}

void FlagAdder::add(const std::string& name, std::vector<std::string>& value, const std::string& help,
                    const OptionRule& rule) {
  app_.add_option(flags_of(name, rule), value, help)->type_name("TEXT");
}

}  // namespace adascale
