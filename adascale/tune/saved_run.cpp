#include "adascale/tune/saved_run.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>

#include "adascale/core/error.h"
#include "adascale/core/options.h"
#include "adascale/core/spelling.h"
#include "adascale/io/digest.h"
#include "adascale/io/write_error.h"
#include "adascale/sim/json_reader.h"

namespace adascale {
namespace {

constexpr const char* kMagic = "checkpoint of adascale";

/// A path may be no UTF-8.
std::string text_of(const OrderedJson& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, OrderedJson::error_handler_t::replace);
}

std::string digest_of(const OrderedJson& json) {
  Digest digest;
  digest.add(text_of(json));
  return digest.hex();
}

OrderedJson to_json(const Fingerprint& fingerprint) {
  const OrderedJson run = {
      {"asked", fingerprint.asked}, {"result", fingerprint.result}, {"bits", fingerprint.bits}};
  return {{"file", kMagic}, {"run", run}, {"digest", digest_of(run)}};
}

Fingerprint::Fields fields_of(const JsonReader& json) {
  Fingerprint::Fields fields;
  for (const auto& [name, value] : json.members()) fields[name] = value.text();
  return fields;
}

/// What a digest is of, for who sees that it differs though all options are the same.
std::map<std::string, std::string> digests() {
  return {{"program", "the model's program"},
          {"weights", "the numbers of the model's weights"},
          {"grids", fmt::format("the layers' grids ({}, {} or {})", option("layer_config"), option("config"),
                                option("formats"))},
          {"ranges", "the ranges that the weights start from"},
          {"data", "the calibration data"}};
}

/// The data of a model in parts are known by what reaches its parts, which other threads or devices round
/// otherwise.
std::set<std::string> differences(const Fingerprint& saved, const Fingerprint& now) {
  std::set<std::string> names;
  for (const auto& [name, value] : now.result)
    if (value_in(saved.result, name) != value) names.insert(name);
  if (now.data_is_rounded && saved.bits != now.bits) names.erase("data");
  return names;
}

/// Whether the field differs because one that it follows from does.
bool follows(const std::string& field, const std::set<std::string>& differing) {
  static const std::map<std::string, std::set<std::string>> table = {
      {"ranges", {"program", "weights", "grids", "scheme"}},
      {"grids", {"program"}},
      {"blocks", {"program"}},
      {"iterations", {"data"}},
      {"held_out_batches", {"data", "grids"}},
      {"precision", {"program", "grids"}}};
  const auto found = table.find(field);
  return found != table.end() && std::any_of(found->second.begin(), found->second.end(),
                                             [&](const auto& name) { return differing.contains(name); });
}

/// Those behind a field that were given another value.
std::set<std::string> changed_options(const Fingerprint& saved, const Fingerprint& now,
                                      const std::string& field) {
  std::set<std::string> names;
  for (const std::string& name : options_behind(field))
    if (value_in(saved.asked, name) != value_in(now.asked, name)) names.insert(name);
  return names;
}

}  // namespace

void write_run(const std::string& path, const Fingerprint& fingerprint) {
  std::ofstream file(path);
  file << text_of(to_json(fingerprint), 1) << "\n";
  ADA_CHECK(file.flush(), "{}", write_error(path, errno));
}

Fingerprint read_run(const std::string& path) {
  try {
    const std::string text = read_text_file(path, "a checkpoint's run");
    ADA_CHECK(OrderedJson::accept(text), "{}: is damaged: cut off or edited", path);
    const OrderedJson json = parse_json(text, path);
    const JsonReader reader(json, path);
    const auto magic = reader.find("file");
    ADA_CHECK(magic && magic->text() == kMagic, "{}: is no file of a checkpoint of adascale", path);
    const JsonReader run = reader.get("run");
    const auto digest = reader.find("digest");
    ADA_CHECK(digest && digest->text() == digest_of(json.at("run")),
              "{}: is damaged, or of another version of adascale: its digest differs", path);
    return {.asked = fields_of(run.get("asked")),
            .result = fields_of(run.get("result")),
            .bits = fields_of(run.get("bits"))};
  } catch (const Error& error) {  // boundary: adds the cure
    fail("{}; remove the checkpoint's folder to start anew", error.what());
  }
}

std::string value_in(const Fingerprint::Fields& fields, const std::string& name) {
  const auto found = fields.find(name);
  return found == fields.end() ? "nothing" : found->second;
}

// An option is named, instead of what follows from it: digests, counts of iterations, names of blocks.
void check_same(const std::string& folder, const Fingerprint& saved, const Fingerprint& now) {
  constexpr const char* kAnew = "remove the folder to start anew";
  Objections objections;
  const auto object = [&](const std::string& spelled, const std::string& value, const std::string& before) {
    objections.add("{}: {}: got {}, but the interrupted run had {}; {}, or {}", folder, spelled, value,
                   before, before == std::string(kItsDefault) ? "leave it out" : "give the same", kAnew);
  };
  std::set<std::string> options, unexplained;
  const std::set<std::string> differing = differences(saved, now);
  for (const std::string& field : differing) {
    const std::set<std::string> behind = changed_options(saved, now, field);
    options.insert(behind.begin(), behind.end());
    if (behind.empty() && !follows(field, differing)) unexplained.insert(field);
  }
  for (const std::string& name : options)
    object(name == "model" || name == "data" ? name : option(name), value_in(now.asked, name),
           value_in(saved.asked, name));
  const std::map<std::string, std::string> contents = digests();
  for (const std::string& name : unexplained) {
    const auto digest = contents.find(name);
    if (digest == contents.end())
      object(name, now.result.at(name), value_in(saved.result, name));
    else
      objections.add("{}: {}: not what the interrupted run had; give the same, or {}", folder, digest->second,
                     kAnew);
  }
  objections.raise();
}

}  // namespace adascale
