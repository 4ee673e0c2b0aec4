#include "adascale/io/argument_reader.h"

#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>

#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/io/json_fields.h"

namespace adascale {
namespace {

using c10::IValue;
using nlohmann::json;

Argument look_up(const json& name, const Scope& scope) {
  const auto found = scope.find(name.get<std::string>());
  ADA_CHECK(found != scope.end(), "value '{}' is used before it is made", name.get<std::string>());
  return found->second;
}

/// The schema's `SymIntArgument` and its relatives: a name, or a literal under another tag.
Argument read_symbol(const json& held, const Scope& scope) {
  const Union symbol = read_union(held, "symbolic argument");
  if (symbol.tag == "as_name") return look_up(symbol.held, scope);
  if (symbol.tag == "as_int") return make_literal(read_int(symbol.held));
  if (symbol.tag == "as_float") return make_literal(read_float(symbol.held));
  if (symbol.tag == "as_bool") return make_literal(symbol.held.get<bool>());
  fail("symbolic argument: kind '{}' is not known", symbol.tag);
}

Argument read_tensor(const json& held, const Scope& scope) {
  return look_up(held.at("name"), scope);
}

Argument read_optional_tensor(const json& held, const Scope& scope) {
  const Union optional = read_union(held, "optional tensor");
  return optional.tag == "as_none" ? make_literal({}) : read_tensor(optional.held, scope);
}

template <typename Read>
Argument read_list(const json& held, const Scope& scope, Read read) {
  Argument list;
  list.kind = Argument::Kind::kList;
  for (const json& item : held) list.items.push_back(read(item, scope));
  return list;
}

Argument read_floats(const json& held) {
  c10::List<double> floats;
  for (const json& item : held) floats.push_back(read_float(item));
  return make_literal(floats);
}

Argument read_nested_tensors(const json& held, const Scope& scope) {
  return read_list(held, scope,
                   [](const json& list, const Scope& s) { return read_list(list, s, read_tensor); });
}

Argument read_int_lists(const json& held) {
  c10::List<c10::List<int64_t>> lists;
  for (const json& item : held) lists.push_back(c10::List<int64_t>(read_ints(item)));
  return make_literal(lists);
}

Argument read_layout(const json& held) {
  // torch/_export/serde/schema.py, class Layout
  const int64_t number = read_int(held);
  ADA_CHECK(number == 7, "layout number {} is not supported: only strided tensors are", number);
  return make_literal(static_cast<int64_t>(c10::Layout::Strided));
}

Argument read_memory_format(const json& held) {
  using c10::MemoryFormat;
  static constexpr MemoryFormat kFormats[] = {MemoryFormat::Contiguous, MemoryFormat::ChannelsLast,
                                              MemoryFormat::ChannelsLast3d, MemoryFormat::Preserve};
  const int64_t number = read_int(held);
  ADA_CHECK(number >= 1 && number <= 4, "memory format number {} is not known", number);
  return make_literal(static_cast<int64_t>(kFormats[number - 1]));
}

Argument read_device(const json& held) {
  const std::string type = held.at("type").get<std::string>();
  const auto index = held.find("index");
  if (index == held.end() || index->is_null()) return make_literal(c10::Device(type));
  return make_literal(c10::Device(type + ":" + std::to_string(read_int(*index))));
}

Argument read_complex(const json& held) {
  return make_literal(c10::complex<double>(read_float(held.at("real")), read_float(held.at("imag"))));
}

}  // namespace

Argument make_literal(c10::IValue value) {
  Argument argument;
  argument.literal = std::move(value);
  return argument;
}

Argument make_reference(ValueId value) {
  Argument argument;
  argument.kind = Argument::Kind::kValue;
  argument.value = value;
  return argument;
}

Argument read_argument(const json& json_argument, const Scope& scope) {
  const auto [tag, held] = read_union(json_argument, "argument");
  if (tag == "as_none") return make_literal({});
  if (tag == "as_tensor") return read_tensor(held, scope);
  if (tag == "as_tensors") return read_list(held, scope, read_tensor);
  if (tag == "as_optional_tensor") return read_optional_tensor(held, scope);
  if (tag == "as_optional_tensors") return read_list(held, scope, read_optional_tensor);
  if (tag == "as_nested_tensors") return read_nested_tensors(held, scope);
  if (tag == "as_int") return make_literal(read_int(held));
  if (tag == "as_ints") return make_literal(read_ints(held));
  if (tag == "as_int_lists") return read_int_lists(held);
  if (tag == "as_float") return make_literal(read_float(held));
  if (tag == "as_floats") return read_floats(held);
  if (tag == "as_bool") return make_literal(held.get<bool>());
  if (tag == "as_bools") return make_literal(held.get<std::vector<bool>>());
  if (tag == "as_string") return make_literal(held.get<std::string>());
  if (tag == "as_strings") return make_literal(held.get<std::vector<std::string>>());
  if (tag == "as_sym_int" || tag == "as_sym_float" || tag == "as_sym_bool") return read_symbol(held, scope);
  if (tag == "as_sym_ints" || tag == "as_sym_floats" || tag == "as_sym_bools") {
    return read_list(held, scope, read_symbol);
  }
  if (tag == "as_scalar_type") return make_literal(static_cast<int64_t>(read_dtype(held)));
  if (tag == "as_layout") return read_layout(held);
  if (tag == "as_memory_format") return read_memory_format(held);
  if (tag == "as_device") return read_device(held);
  if (tag == "as_complex") return read_complex(held);
  fail("argument kind '{}' is not supported", tag);
}

}  // namespace adascale
