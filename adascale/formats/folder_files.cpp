#include "adascale/formats/folder_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "adascale/core/error.h"
#include "adascale/io/write_error.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

bool holds_weights(const fs::path& file) {
  constexpr std::array kSuffixes = {".safetensors", ".gguf", ".bin",  ".pt",      ".pth",
                                    ".ckpt",        ".onnx", ".data", ".msgpack", ".onnx_data",
                                    ".h5",          ".ot",   ".pb",   ".tflite",  ".mlmodel"};
  return std::find(kSuffixes.begin(), kSuffixes.end(), file.extension()) != kSuffixes.end();
}

bool is_ours(const fs::path& file) {
  if (file.filename() == kCardFile) return is_our_card(file.string());
  if (file.filename() == kReportPage) return is_our_page(file.string());
  if (file.filename() != kReportFile) return false;
  std::ifstream in(file);
  const auto report = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  return report.is_object() && report.contains("adascale.plan");
}

bool is_passed_over(const fs::path& file) {
  return file.filename().string().starts_with('.') || file.filename() == "__pycache__" || is_ours(file);
}

}  // namespace

bool is_our_page(const std::string& path) {
  std::string start(std::strlen(kPageMark), ' ');
  std::ifstream(path).read(start.data(), static_cast<std::streamsize>(start.size()));
  return start == kPageMark;
}

bool is_our_card(const std::string& path) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line == kCardMark) return true;
  return false;
}

ModelFiles list_model_files(const std::string& folder) {
  ModelFiles files;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(folder, error);
  for (; !error && entry != fs::end(entry); entry.increment(error)) {
    const fs::path& file = entry->path();
    if (is_passed_over(file))
      entry.disable_recursion_pending();
    else if (entry->is_regular_file(error))
      (holds_weights(file) ? files.weights : files.companions)
          .push_back(file.lexically_relative(folder).string());
  }
  ADA_CHECK(!error, "{}: cannot be listed: {}", folder, error.message());
  std::sort(files.weights.begin(), files.weights.end());
  std::sort(files.companions.begin(), files.companions.end());
  return files;
}

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
  ADA_CHECK(out, "{}", write_error(path, errno));
}

void write_text_file(const std::string& path, const std::function<void(std::ostream&)>& write) {
  std::ofstream out(path);
  write(out);
  out.close();
  ADA_CHECK(out, "{}", write_error(path, errno));
}

void copy_file(const std::string& from, const std::string& path) {
  std::error_code error;
  fs::copy_file(from, path, fs::copy_options::overwrite_existing, error);
  ADA_CHECK(!error, "{}: cannot be written: {}", path, error.message());
}

}  // namespace adascale
