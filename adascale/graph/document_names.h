#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_set>

namespace adascale {

// Names of values in an export document (torch/_export/serde/schema.py).

/// Every name in the document, whatever it names: a fresh one must differ from all of them.
std::unordered_set<std::string> names_in(const nlohmann::json& document);

/// A name like `wanted` that is not in `taken`, which gains it.
std::string fresh_name(const std::string& wanted, std::unordered_set<std::string>& taken);

/// Makes the nodes of `graph` from number `first` on, and its outputs, read `to` instead of `from`.
void rename_readers(nlohmann::json& graph, size_t first, const std::string& from, const std::string& to);

/// The same for the program's own outputs, which its signature names too.
void rename_in_signature(nlohmann::json& graph_module, const std::string& from, const std::string& to);

}  // namespace adascale
