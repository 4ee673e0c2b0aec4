#include "adascale/io/archive_writer.h"

#include <cerrno>

#include "adascale/core/error.h"
#include "adascale/io/json_fields.h"
#include "adascale/io/write_error.h"

namespace adascale {
namespace {

using nlohmann::json;

json fixed_ints(c10::IntArrayRef ints) {
  json list = json::array();
  for (int64_t number : ints) list.push_back({{"as_int", number}});
  return list;
}

/// The tensor on the CPU, its elements adjacent in memory, in the order that its strides give.
at::Tensor storable(const at::Tensor& tensor) {
  const at::Tensor on_cpu = tensor.detach().cpu();
  return on_cpu.is_non_overlapping_and_dense() ? on_cpu : on_cpu.contiguous();
}

constexpr int kStridedLayout = 7;  // torch/_export/serde/schema.py, class Layout

json describe(const at::Tensor& stored, bool requires_grad) {
  return {{"dtype", schema_dtype(stored.scalar_type())},
          {"sizes", fixed_ints(stored.sizes())},
          {"requires_grad", requires_grad},
          {"device", {{"type", "cpu"}, {"index", nullptr}}},
          {"strides", fixed_ints(stored.strides())},
          {"storage_offset", {{"as_int", 0}}},
          {"layout", kStridedLayout}};
}

}  // namespace

ArchiveWriter::ArchiveWriter(const std::string& path)
    : path_(path),
      file_(path, std::ios::binary | std::ios::trunc),
      // The root folder has a fixed name: the file's name while it is staged is of no use inside it.
      zip_([this](const void* data, size_t size) {
        append(data, size);
        return size;
      }) {
  if (!file_.is_open()) error_ = errno;
  check();
}

/// The zip writer finishes its archive in its destructor, where an exception would end the process.
/// So it is told that every write succeeded, and failures are reported outside.
void ArchiveWriter::append(const void* data, size_t size) {
  file_.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  if (!file_.good() && error_ == 0) error_ = errno;
}

void ArchiveWriter::check() const {
  ADA_CHECK(error_ == 0, "{}", write_error(path_, error_));
}

void ArchiveWriter::write(const std::string& record, const void* data, size_t size) {
  zip_.writeRecord(record, data, size);
  check();
}

void ArchiveWriter::write_text(const std::string& record, const std::string& text) {
  write(record, text.data(), text.size());
}

json ArchiveWriter::write_tensor(const std::string& folder, const std::string& stem, const at::Tensor& tensor,
                                 const at::Tensor& original, bool is_parameter) {
  const at::Tensor stored = storable(tensor);
  const std::string place = fmt::format("{} {} {}", folder, fmt::ptr(original.const_data_ptr()),
                                        c10::toString(original.scalar_type()));
  const std::string key = place + describe(original, false).dump();
  std::string& name = written_[key];
  if (name.empty()) {
    name = fmt::format("{}_{}", stem, counts_[folder]++);
    write(folder + name, stored.const_data_ptr(), stored.nbytes());
  }
  return {{"path_name", name},
          {"is_param", is_parameter},
          {"use_pickle", false},
          {"tensor_meta", describe(stored, tensor.requires_grad())}};
}

void ArchiveWriter::finish() {
  zip_.writeEndOfFile();
  file_.close();
  if (file_.fail() && error_ == 0) error_ = errno;
  check();
}

}  // namespace adascale
