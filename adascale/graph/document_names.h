#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_set>

namespace adascale {

// Names of values in an export document (torch/_export/serde/schema.py).

/// Every name in the document, of any kind: a fresh one must differ from all of them.
std::unordered_set<std::string> names_in(const nlohmann::json& document);

/// A name like `wanted` that is not in `taken`; adds it to `taken`.
std::string fresh_name(const std::string& wanted, std::unordered_set<std::string>& taken);

/// Makes the outputs of `graph` and its nodes from number `first` on read `to` instead of `from`.
void rename_readers(nlohmann::json& graph, size_t first, const std::string& from, const std::string& to);

/// The same for the program's own outputs, which its signature also names.
void rename_in_signature(nlohmann::json& graph_module, const std::string& from, const std::string& to);

}  // namespace adascale
