// For .pt2 files: changes one record and writes the zip anew, with the sizes and checksums that fit.
#include <caffe2/serialize/inline_container.h>

#include <sstream>
#include <vector>

#include "fuzz/mutate.h"

namespace adascale::fuzz {
namespace {

struct Record {
  std::string name, content;
  bool is_json() const { return name.ends_with(".json"); }
};

std::vector<Record> records_of(const std::string& file) {
  std::istringstream stream(file);
  caffe2::serialize::PyTorchStreamReader reader(&stream);
  std::vector<Record> records;
  for (const std::string& name : reader.getAllRecords()) {
    // A record may claim any size.
    if (reader.getRecordSize(name) > file.size()) continue;
    const auto [data, size] = reader.getRecord(name);
    records.push_back({name, {static_cast<const char*>(data.get()), size}});
  }
  return records;
}

std::string zip_of(const std::vector<Record>& records) {
  std::string file;
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* data, size_t size) {
    file.append(static_cast<const char*>(data), size);
    return size;
  });
  for (const Record& record : records)
    writer.writeRecord(record.name, record.content.data(), record.content.size());
  writer.writeEndOfFile();
  return file;
}

std::string mutate(const std::string& file, Random& random) {
  try {
    std::vector<Record> records = records_of(file);
    if (records.empty()) return mutate_bytes(file);
    Record& record = records[random() % records.size()];
    if (random() % 8 == 0)
      record.name = mutate_bytes(record.name);
    else
      record.content = record.is_json() ? mutate_json(record.content, random) : mutate_bytes(record.content);
    return zip_of(records);
  } catch (const std::exception&) {  // torch's zip reader or writer refuses it
    return mutate_bytes(file);
  }
}

}  // namespace
}  // namespace adascale::fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return adascale::fuzz::mutate_input(data, size, max_size, seed, adascale::fuzz::mutate);
}
