#include <algorithm>
#include <cstring>

#include "adascale/io/safetensors.h"
#include "model_files.h"

// tests/python/test_read_back.py has the formats that need a source.
namespace adascale {
namespace {

using testing::calibrated_sim;
using testing::error_of;
using testing::Folder;
using testing::text_of;
using testing::w4a16;

constexpr const char* kCure =
    "; the file was read back before it got its name, and no file was put in place: the disk or the memory "
    "may be "
    "faulty; export again, and report it if it happens again";

using Damage = std::function<void(std::string&)>;

void rewrite(const std::string& path, const Damage& damage) {
  std::string content = text_of(path);
  damage(content);
  std::ofstream(path, std::ios::binary) << content;
}

/// The error where a written file changes before it is read again. Nothing may be left of it.
std::string error_after(const QuantizationSimModel& sim, const std::string& format, const std::string& file,
                        const Damage& damage, const ExportOptions& options = {}) {
  const Folder folder;
  Objections objections;
  const auto formats = choose_formats({format}, objections);
  ExportPlan plan = plan_export(sim, formats, folder.path("out"), "model", options, objections);
  const auto write = plan.prepared[0].write;
  plan.prepared[0].write = [&](const ExportRequest& request, StagedFiles& files) {
    write(request, files);
    rewrite(files.aside(file), damage);
  };
  const std::string error = error_of([&] { write_files(sim, plan); });
  EXPECT_TRUE(folder.is_empty());
  return error;
}

/// Without the file's place, and the cure, which every error has.
std::string fault_of(const std::string& error, const std::string& file) {
  const size_t name = error.find(file + ":"), cure = error.find(kCure);
  EXPECT_NE(name, std::string::npos) << error;
  EXPECT_NE(cure, std::string::npos) << error;
  if (name == std::string::npos || cure == std::string::npos) return error;
  EXPECT_EQ(error.substr(cure), kCure);
  return error.substr(name, cure - name);
}

/// Flips the lowest bit of the tensor's second element.
Damage flip_in(const at::Tensor& tensor) {
  return [bytes = std::string(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()),
          size = tensor.element_size()](std::string& content) {
    const size_t found = content.find(bytes);
    ASSERT_NE(found, std::string::npos);
    content[found + size] ^= 1;
  };
}

/// Exchanges a text for one of the same length.
Damage exchange(const std::string& from, const std::string& to) {
  return [=](std::string& content) {
    const size_t found = content.find(from);
    ASSERT_NE(found, std::string::npos) << from;
    content.replace(found, from.size(), to);
  };
}

/// Changes the first digit of the number that follows.
Damage change_number_behind(const std::string& text) {
  return [=](std::string& content) {
    size_t at = content.find(text);
    ASSERT_NE(at, std::string::npos) << text;
    at = content.find_first_of("123456789", at + text.size());
    content[at] = content[at] == '5' ? '6' : '5';
  };
}

/// Adds a tensor without elements behind those of a .safetensors.
void add_tensor(std::string& content) {
  uint64_t length = 0;
  std::memcpy(&length, content.data(), sizeof(length));
  const std::string data = content.substr(sizeof(length) + length);
  auto header = nlohmann::json::parse(content.substr(sizeof(length), length));
  header["more"] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {data.size(), data.size()}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  length = text.size();
  content.assign(reinterpret_cast<const char*>(&length), sizeof(length));
  content += text + data;
}

struct ReadBack : ::testing::Test {
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  const at::Tensor weight = sim.state("fc.weight").contiguous();
};

TEST_F(ReadBack, OneBitOfATensorIsFound) {
  for (const std::string file : {"model.safetensors", "model.pt2"}) {
    const std::string fault = fault_of(error_after(sim, file.substr(6), file, flip_in(weight)), file);
    EXPECT_TRUE(fault.starts_with(file + ": fc.weight: got ")) << fault;
    EXPECT_NE(fault.find(" at [0, 1], expected "), std::string::npos) << fault;
  }
}

TEST_F(ReadBack, TensorsAndMetadataOfOtherNamesAreFound) {
  const auto fault = [&](const Damage& damage) {
    return fault_of(error_after(sim, "safetensors", "model.safetensors", damage), "model.safetensors");
  };
  EXPECT_EQ(fault(exchange("\"fc.bias\"", "\"fc.bios\"")),
            "model.safetensors: got no tensor fc.bias, expected one");
  EXPECT_EQ(fault(add_tensor), "model.safetensors: got a tensor more, which was not written");
  EXPECT_EQ(fault(exchange("adascale.version", "adascale.vorsion"))
                .find("model.safetensors: metadata: got no adascale.version, expected "),
            0U);
  EXPECT_EQ(fault(exchange("[16,16]", "[8, 32]")),
            "model.safetensors: fc.weight: got Float [8, 32], expected Float [16, 16]");
}

TEST_F(ReadBack, ATruncatedFileIsFound) {
  const Damage cut = [](std::string& content) { content.resize(content.size() / 2); };
  for (const ExportFormat& format : export_formats()) {
    if (!format.files.front().starts_with("PREFIX") || format.name == "gguf" || format.name == "own")
      continue;
    const std::string file = output_file(format.files.front(), "model");
    fault_of(error_after(sim, format.name, file, cut), file);
  }
}

TEST_F(ReadBack, AnotherGraphIsFound) {
  const auto fault = [&](const Damage& damage) {
    return fault_of(error_after(sim, "pt2", "model.pt2", damage), "model.pt2");
  };
  EXPECT_EQ(fault(change_number_behind("\"as_float\":")), "model.pt2: got another graph than was written");
  EXPECT_EQ(fault(exchange("adascale.version", "adascale.vorsion")),
            "model.pt2: got other metadata than was written");
}

TEST_F(ReadBack, AnotherNumberInAnEncodingsFileIsFound) {
  for (const std::string& version : encoding_versions()) {
    const ExportOptions options{.encoding_version = version};
    for (const std::string file : {"model_torch.encodings", "model.encodings"}) {
      const auto fault = [&](const Damage& damage) {
        return fault_of(error_after(sim, "encodings", file, damage, options), file);
      };
      const bool is_of_2 = version.starts_with("2.") && file == "model.encodings";
      const std::string scale = fault(change_number_behind(is_of_2 ? "\"y_scale\":" : "\"scale\":"));
      EXPECT_NE(scale.find(": got "), std::string::npos) << version << ": " << scale;
      const std::string name = fault(exchange("\"fc.weight\"", "\"fc.waight\""));
      EXPECT_EQ(name, file + ": fc.waight: got an entry that was not written");
    }
  }
}

TEST_F(ReadBack, TheReportIsReadToo) {
  const Folder folder;
  Objections objections;
  ExportPlan plan = plan_export(sim, choose_formats({"safetensors"}, objections), folder.path("out"), "model",
                                {}, objections);
  plan.prepared[0].read_back = [](const ExportRequest&, const StagedFiles& files) {
    rewrite(files.aside("report.json"), exchange("one", "two"));
  };
  const std::string error = error_of([&] { write_files(sim, plan, {{"report.json", "{one}"}}); });
  EXPECT_EQ(fault_of(error, "report.json"), "report.json: got another byte at 1 than was written");
  EXPECT_TRUE(folder.is_empty());
}

TEST_F(ReadBack, ARunSaysHowToGoOn) {
  const std::string error =
      error_after(sim, "safetensors", "model.safetensors", flip_in(weight), {.plan = "1"});
  EXPECT_NE(error.find("run again with resume = true, and report it"), std::string::npos) << error;
}

TEST_F(ReadBack, OlderFilesStay) {
  const Folder folder;
  export_model(sim, folder.path("out"), "model", {"safetensors"});
  const std::string before = text_of(folder.path("out/model.safetensors"));
  Objections objections;
  ExportPlan plan = plan_export(sim, choose_formats({"safetensors"}, objections), folder.path("out"), "model",
                                {}, objections);
  plan.prepared[0].read_back = [](const ExportRequest&, const StagedFiles&) { fail("damaged"); };
  EXPECT_EQ(error_of([&] { write_files(sim, plan); }), std::string("damaged") + kCure);
  EXPECT_EQ(text_of(folder.path("out/model.safetensors")), before);
}

TEST_F(ReadBack, AFormatThatDoesNotIsOurFault) {
  const Folder folder;
  const ExportFormat silent = {.name = "silent", .prepare = [](const ExportRequest&) {
                                 return PreparedFormat{.write = [](const ExportRequest&, StagedFiles&) {}};
                               }};
  Objections objections;
  const std::string error = error_of(
      [&] {
        plan_export(sim, {{&silent, ""}}, folder.path(), "model", {}, objections);
      },
      Error::Fault::kInternal);
  EXPECT_NE(error.find("silent does not say how it writes and reads back"), std::string::npos) << error;
}

}  // namespace
}  // namespace adascale
