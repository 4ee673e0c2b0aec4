#include "adascale/formats/folder_files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "adascale/core/error.h"

namespace adascale {

nlohmann::ordered_json read_config(const std::string& path) {
  std::ifstream in(path);
  ADA_CHECK(in, "{}: cannot be opened; expected a transformers model folder", path);
  const auto config = nlohmann::ordered_json::parse(in, nullptr, /*allow_exceptions=*/false);
  ADA_CHECK(config.is_object(), "{}: no JSON object; expected a transformers config", path);
  return config;
}

void write_json(const std::string& path, const nlohmann::ordered_json& json) {
  std::ofstream out(path);
  out << json.dump(2) << "\n";
  out.close();
  ADA_CHECK(out, "{}: cannot be written: {}", path, std::strerror(errno));
}

void copy_file(const std::string& from, const std::string& path) {
  std::error_code error;
  std::filesystem::copy_file(from, path, std::filesystem::copy_options::overwrite_existing, error);
  ADA_CHECK(!error, "{}: cannot be written: {}", path, error.message());
}

}  // namespace adascale
