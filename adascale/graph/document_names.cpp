#include "adascale/graph/document_names.h"

#include <nlohmann/json.hpp>

namespace adascale {
namespace {

using nlohmann::json;

void collect_names(const json& part, std::unordered_set<std::string>& names) {
  if (part.is_object()) {
    for (const auto& [key, held] : part.items()) {
      names.insert(key);
      collect_names(held, names);
    }
  } else if (part.is_array()) {
    for (const json& item : part) collect_names(item, names);
  } else if (part.is_string() && part.get_ref<const std::string&>().size() < 256) {
    names.insert(part.get<std::string>());
  }
}

/// Renames a tensor wherever an argument refers to it; a nested graph has names of its own.
void rename(json& argument, const std::string& from, const std::string& to) {
  if (argument.is_array()) {
    for (json& item : argument) rename(item, from, to);
  } else if (argument.is_object() && !argument.contains("as_graph")) {
    for (auto& [key, held] : argument.items()) {
      if (key == "name" && held == from) {
        held = to;
      } else {
        rename(held, from, to);
      }
    }
  }
}

}  // namespace

std::unordered_set<std::string> names_in(const json& document) {
  std::unordered_set<std::string> names;
  collect_names(document, names);
  return names;
}

std::string fresh_name(const std::string& wanted, std::unordered_set<std::string>& taken) {
  std::string candidate = wanted;
  for (int i = 1; !taken.insert(candidate).second; ++i) candidate = wanted + "_" + std::to_string(i);
  return candidate;
}

void rename_readers(json& graph, size_t first, const std::string& from, const std::string& to) {
  json& nodes = graph.at("nodes");
  for (size_t i = first; i < nodes.size(); ++i)
    for (json& operand : nodes[i].at("inputs")) rename(operand.at("arg"), from, to);
  rename(graph.at("outputs"), from, to);
}

// Modules kept apart have signatures of their own.
void rename_in_signature(json& graph_module, const std::string& from, const std::string& to) {
  for (json& spec : graph_module.at("signature").at("output_specs")) rename(spec, from, to);
  for (json& entry : graph_module.at("module_call_graph")) {
    json& signature = entry["signature"];
    if (signature.is_null()) continue;
    rename(signature.at("inputs"), from, to);
    rename(signature.at("outputs"), from, to);
  }
}

}  // namespace adascale
