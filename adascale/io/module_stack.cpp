#include "adascale/io/module_stack.h"

#include <cctype>

namespace adascale {
namespace {

constexpr CallId kRoot = 0;
constexpr const char* kSyntheticKey = "_empty_nn_module_stack_from_metadata_hook";

/// Splits off the text before the next `separator`, or all of it.
std::string take(std::string& text, char separator) {
  const size_t at = text.find(separator);
  const std::string head = text.substr(0, at);
  text = at == std::string::npos ? "" : text.substr(at + 1);
  return head;
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}

}  // namespace

std::string dotted_path(const std::string& path) {
  size_t at = 0;
  for (const std::string self : {"L['self']", "L[\"self\"]", "L__self__"}) {
    if (starts_with(path, self)) at = self.size();
  }
  std::string dotted;
  for (; at < path.size(); ++at) {
    const char c = path[at];
    const bool separates = c == '.' || c == '[' || c == ']' || c == '\'' || c == '"';
    if (!separates) {
      dotted += c;
    } else if (!dotted.empty() && dotted.back() != '.') {
      dotted += '.';
    }
  }
  if (!dotted.empty() && dotted.back() == '.') dotted.pop_back();
  return dotted;
}

ModuleStackReader::ModuleStackReader(Program& program) : program_(program) {
  program_.calls.clear();
  ModuleCall root;
  root.key = "L__self__";
  program_.calls.push_back(root);
}

CallId ModuleStackReader::innermost(const std::string& stack) {
  const auto known = stacks_.find(stack);
  if (known != stacks_.end()) return known->second;
  CallId call = kRoot;
  for (std::string rest = stack; !rest.empty();) {
    std::string entry = take(rest, ';');
    const std::string key = take(entry, ','), path = dotted_path(take(entry, ','));
    if (key.empty() || key == kSyntheticKey) continue;
    call = enter(call, key, path, entry);
  }
  return stacks_[stack] = call;
}

CallId ModuleStackReader::enter(CallId parent, const std::string& key, const std::string& path,
                                const std::string& type) {
  if (parent == kRoot && path.empty()) {
    program_.calls[kRoot].type = type;
    return kRoot;
  }
  const auto known = keys_.find(key);
  if (known != keys_.end()) {
    if (program_.calls[known->second].parent == parent) return known->second;
    // A module shared by two parents may have one key under both: the parent's key tells its calls apart.
    return enter(parent, program_.calls[parent].key + "/" + key, path, type);
  }
  keys_[key] = static_cast<CallId>(program_.calls.size());
  ModuleCall call;
  call.key = key, call.path = path, call.type = type, call.parent = parent;
  program_.calls.push_back(call);
  return keys_[key];
}

std::string innermost_source(const std::string& stack_trace) {
  std::string source;
  const std::string opening = "File \"", middle = "\", line ";
  for (size_t at = stack_trace.find(opening); at != std::string::npos;
       at = stack_trace.find(opening, at + 1)) {
    const size_t start = at + opening.size(), end = stack_trace.find(middle, start);
    if (end == std::string::npos) break;
    const std::string file = stack_trace.substr(start, end - start);
    if (file.find("-packages/torch/") != std::string::npos) continue;
    std::string line;
    for (size_t digit = end + middle.size(); std::isdigit(static_cast<unsigned char>(stack_trace[digit]));
         ++digit) {
      line += stack_trace[digit];
    }
    source = file.substr(file.rfind('/') + 1) + ":" + line;
  }
  return source;
}

}  // namespace adascale
