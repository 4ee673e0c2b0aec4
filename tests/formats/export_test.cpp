#include <sys/resource.h>

#include <csignal>
#include <map>
#include <regex>
#include <set>

#include "adascale/core/passes.h"
#include "adascale/core/version.h"
#include "model_files.h"

namespace adascale {
namespace {

using testing::calibrated_sim;
using testing::error_of;
using testing::Folder;
using testing::model_file;
using testing::text_of;
using testing::w4a16;
using testing::fs::exists;

/// While it lives, no file may grow past `bytes`: this simulates a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_;
  void (*handler_)(int);
};

/// While it lives, root has the rights of an ordinary user; other users have no more anyway.
class NotRoot {
 public:
  NotRoot() : before_(geteuid()) {
    if (before_ == 0) {
      EXPECT_EQ(seteuid(65534), 0);
    }
  }
  ~NotRoot() { EXPECT_EQ(seteuid(before_), 0); }

 private:
  uid_t before_;
};

std::string known_formats() {
  std::string names;
  for (const ExportFormat& format : export_formats()) names += (names.empty() ? "" : ", ") + format.name;
  return names;
}

/// The only row of these names, or the objections to them.
ChosenFormat chosen(const std::string& name) {
  Objections objections;
  const std::vector<ChosenFormat> formats = choose_formats({name}, objections);
  objections.raise();
  return formats.front();
}

/// Rows whose file is the model's own folder or file with other weights.
bool needs_source(const ExportFormat& format) {
  static const std::set<std::string> names = {"hf", "compressed-tensors", "gptq", "gguf"};
  return names.contains(format.name);
}

TEST(ExportFormats, EveryRowIsWholeAndNamedOnce) {
  std::set<std::string> names, files;
  for (const ExportFormat& format : export_formats()) {
    EXPECT_TRUE(names.insert(format.name).second) << format.name;
    ASSERT_FALSE(format.files.empty());
    for (const std::string& file : format.files) {
      EXPECT_TRUE(files.insert(file).second || needs_source(format)) << file;
      EXPECT_TRUE(file.starts_with("PREFIX") || needs_source(format)) << file;
    }
    EXPECT_FALSE(format.description.empty());
    EXPECT_TRUE(format.prepare);
    EXPECT_EQ(chosen(format.name).format, &format);
  }
}

TEST(ExportFormats, EachWritesTheFilesItNames) {
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  for (const ExportFormat& format : export_formats()) {
    if (needs_source(format)) continue;  // tests/python/test_packed_folders.py
    const Folder folder;
    std::vector<std::string> files;
    for (const std::string& file : format.files)
      files.push_back(folder.path(std::regex_replace(file, std::regex("PREFIX"), "model")));
    Objections objections;
    EXPECT_EQ(plan_export(sim, {{&format, ""}}, folder.path(), "model", {}, objections).paths(), files);
    EXPECT_TRUE(objections.empty());
    EXPECT_EQ(export_model(sim, folder.path(), "model", {format.name}), files);
    for (const std::string& file : files) EXPECT_TRUE(exists(file));
    EXPECT_EQ(std::distance(testing::fs::directory_iterator(folder.path()), {}), files.size());
  }
}

TEST(ExportFormats, AnUnknownNameListsTheKnown) {
  EXPECT_EQ(error_of([] { chosen("onnx2"); }), "formats: got 'onnx2', expected some of " + known_formats());
}

TEST(ExportFormats, ATargetIsOneOfTheFormats) {
  EXPECT_EQ(chosen("gptq:v2").target, "v2");
  EXPECT_EQ(chosen("gptq:v2").format, chosen("gptq").format);
  EXPECT_EQ(chosen("gptq").target, "");
  EXPECT_EQ(error_of([] { chosen("gptq:"); }), "formats: 'gptq:': gptq has no grid ''; it has v1, v2");
  EXPECT_EQ(error_of([] { chosen("pt2:int4"); }),
            "formats: 'pt2:int4': pt2 has no grids of its own to ask for; write pt2");
}

TEST(ExportFormats, OnlyAModelThatTransformersOpenedIsSavedByIt) {
  const Folder folder;
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  EXPECT_EQ(
      error_of([&] { export_model(sim, folder.path(), "model", {"hf"}); }),
      "hf: is the folder that transformers saves, and it did not open this model; quantize a transformers "
      "folder or model");
  EXPECT_TRUE(folder.is_empty());
}

/// A format that stores scales in that dtype.
ExportFormat storing(const std::string& name, c10::ScalarType dtype) {
  ExportFormat format = {.name = name};
  format.fit = [dtype](const std::string&) -> FitGrid {
    return [dtype](const Layer&, const at::Tensor&, const Grid& asked) {
      FittedGrid fitted{asked, "scales of its own"};
      fitted.grid.scale_dtype = dtype;
      return fitted;
    };
  };
  return format;
}

TEST(FitGrids, WhatTheFormatHoldsIsTrained) {
  SimOptions options = w4a16();
  const ExportFormat half = storing("half", at::kHalf);
  options.fit_grid = fit_grids({chosen("pt2"), {&half, ""}});
  const QuantizationSimModel sim(load_program(model_file("seed")), options);
  for (const QuantizedWeight& weight : sim.weights()) {
    EXPECT_EQ(weight.grid.scale_dtype, at::kHalf);
    EXPECT_EQ(weight.note, "scales of its own");
  }
  EXPECT_FALSE(fit_grids({chosen("pt2"), chosen("safetensors")}));
}

TEST(FitGrids, TwoFormatsThatWantDifferentGridsAreRefused) {
  SimOptions options = w4a16();
  const ExportFormat half = storing("half", at::kHalf), bf16 = storing("bf16", at::kBFloat16);
  options.fit_grid = fit_grids({{&half, ""}, {&bf16, ""}});
  const std::string error =
      error_of([&] { QuantizationSimModel(load_program(model_file("seed")), options); });
  EXPECT_NE(
      error.find("half holds int4 symmetric per channel with Half scales, bf16 holds int4 symmetric per "
                 "channel with BFloat16 scales: no grid is both; write one of the formats"),
      std::string::npos)
      << error;
}

TEST(Version, IsTheProjects) {
  const std::string cmake = text_of(std::string(ADASCALE_TEST_DATA) + "/../CMakeLists.txt");
  std::smatch version;
  ASSERT_TRUE(std::regex_search(cmake, version, std::regex("project\\(adascale VERSION ([0-9.]+)")));
  EXPECT_EQ(version[1], kVersion);
}

TEST(ExportFormats, APackageMayAddRows) {
  const Folder folder;
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  add_export_format({.name = "own",
                     .description = "a note in a folder",
                     .files = {"PREFIX/note.txt"},
                     .prepare = [](const ExportRequest& request) -> PreparedFormat {
                       return {.notes = {"a note"},
                               .files = {"model/note.txt"},
                               .write =
                                   [planned = request.folder](const ExportRequest& now, StagedFiles& files) {
                                     std::ofstream(files.path("model/note.txt")) << planned << now.prefix;
                                   },
                               .read_back =
                                   [](const ExportRequest& now, const StagedFiles& files) {
                                     EXPECT_EQ(text_of(files.aside("model/note.txt")),
                                               now.folder + now.prefix);
                                   }};
                     }});
  export_model(sim, folder.path(), "model", {"safetensors", "own"});
  EXPECT_EQ(text_of(folder.path("model/note.txt")), folder.path() + "model");
}

TEST(Export, ReportsEverythingAtOnceAndWritesNothing) {
  const Folder folder;
  const QuantizationSimModel sim(load_program(model_file("seed")), w4a16());
  const std::string error = error_of([&] {
    export_model(sim, folder.path("made"), "a/b", {"onnx2", "pt2", "pt2", "encodings"},
                 {.encoding_version = "3"});
  });
  EXPECT_EQ(error, "formats: got 'onnx2', expected some of " + known_formats() +
                       "; formats: pt2 is named twice; name it once; "
                       "export: prefix 'a/b' is no bare file name; "
                       "give the folder as the path, and a name without slashes; "
                       "encodings: got encoding_version '3', expected one of 0.6.1, 1.0.0, 2.0.0, 2.1.0; "
                       "export to pt2, encodings: 12 activation quantizers have no encodings; "
                       "run compute_encodings first, or make the simulation with default_output_bw = 32 "
                       "(activations off)");
  EXPECT_TRUE(folder.is_empty());
}

TEST(Export, RefusesAnEmptyPrefixAndNoFormat) {
  const Folder folder;
  const QuantizationSimModel sim = calibrated_sim("tied");
  EXPECT_NE(
      error_of([&] { export_model(sim, folder.path(), "", {"pt2"}); }).find("prefix '' is no bare file name"),
      std::string::npos);
  EXPECT_EQ(
      error_of([&] { export_model(sim, folder.path(), "model", {}); }),
      "formats: got none, expected some of safetensors, pt2, encodings, hf, compressed-tensors, gptq, gguf");
  EXPECT_TRUE(folder.is_empty());
}

TEST(Export, NegativeScalesAreRefusedWhereAFileHasNone) {
  SimOptions options = w4a16();
  options.scale_sign = kAnySign;
  const QuantizationSimModel sim = calibrated_sim("tied", options);
  const Folder folder;
  EXPECT_EQ(error_of([&] {
              export_model(sim, folder.path(), "model", {"pt2", "encodings"});
            }),
            "export to encodings: a scale may be negative in this simulation, which these formats do not "
            "hold; make "
            "it with scale_sign = \"positive\"");
  EXPECT_TRUE(folder.is_empty());
  export_model(sim, folder.path(), "model", {"pt2", "safetensors"});
}

TEST(Export, WeightsAloneNeedNoCalibration) {
  const Folder folder;
  const QuantizationSimModel sim(load_program(model_file("seed")), w4a16());
  EXPECT_NO_THROW(export_model(sim, folder.path(), "model", {"safetensors"}));
}

TEST(Export, ActivationsThatAreOffNeedNoCalibration) {
  const Folder folder;
  const QuantizationSimModel sim(load_program(model_file("seed")), {.default_output_bw = 32});
  EXPECT_NO_THROW(export_model(sim, folder.path(), "model", {"safetensors", "pt2", "encodings"}));
}

TEST(Export, MakesTheFolderAndReplacesOlderFiles) {
  const Folder folder;
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  export_model(sim, folder.path("new"), "model", {"safetensors"});
  const std::string first = text_of(folder.path("new/model.safetensors"));
  std::ofstream(folder.path("new/model.safetensors")) << "older";
  export_model(sim, folder.path("new"), "model", {"safetensors"});
  EXPECT_EQ(text_of(folder.path("new/model.safetensors")), first);
}

TEST(Export, AFileWhereTheFolderShouldBe) {
  const Folder folder;
  std::ofstream(folder.path("taken")) << "x";
  const QuantizationSimModel sim = calibrated_sim("tied");
  const std::string error = error_of([&] { export_model(sim, folder.path("taken"), "model", {"pt2"}); });
  EXPECT_NE(error.find("taken"), std::string::npos) << error;
  EXPECT_EQ(text_of(folder.path("taken")), "x");
}

TEST(Export, AFolderThatMayNotBeWritten) {
  const Folder folder;
  const QuantizationSimModel sim = calibrated_sim("tied");
  testing::fs::permissions(folder.path(), testing::fs::perms(0555));
  std::string error;
  {
    const NotRoot nobody;
    error = error_of([&] { export_model(sim, folder.path(), "model", {"pt2"}); });
  }
  testing::fs::permissions(folder.path(), testing::fs::perms::owner_all);
  EXPECT_NE(error.find(folder.path()), std::string::npos) << error;
  EXPECT_TRUE(folder.is_empty());
}

TEST(Export, AFullDiskLeavesTheFolderAsItWas) {
  const QuantizationSimModel sim = calibrated_sim("seed", w4a16());
  for (const ExportFormat& format : export_formats()) {
    if (needs_source(format)) continue;  // tests/python/test_packed_folders.py
    const Folder folder;
    std::string error;
    {
      const FileSizeLimit full(4096);
      error = error_of([&] { export_model(sim, folder.path("made"), "model", {format.name}); });
    }
    EXPECT_NE(error.find(folder.path(".made.adascale")), std::string::npos) << format.name << ": " << error;
    EXPECT_TRUE(folder.is_empty()) << format.name;
  }
}

/// "writing model.pt2 9/9", the last event of each pass.
std::vector<std::string> passes_of(const std::function<void()>& work) {
  std::vector<std::string> lines;
  const WatchPasses watch([&](const PassEvent& pass) {
    if (pass.step > 0) lines.pop_back();
    lines.push_back(fmt::format("{} {}/{}", pass.name, pass.step, pass.total));
  });
  work();
  return lines;
}

TEST(Export, FilesOfTensorsAreWrittenAndReadBackInPasses) {
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  const Folder folder;
  const auto lines = passes_of([&] { export_model(sim, folder.path(), "m", {"safetensors", "pt2"}); });
  EXPECT_EQ(lines, (std::vector<std::string>{"writing m.safetensors 6/6", "writing m.pt2 8/8",
                                             "reading back m.safetensors 6/6", "reading back m.pt2 8/8"}));
}

/// Beside files of the user's, each lies under a name of ours until it is in place.
TEST(Export, PassesNameFilesAsTheyWillBe) {
  const Folder folder;
  std::ofstream(folder.path("notes.txt")) << "mine";
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  const auto lines = passes_of([&] { export_model(sim, folder.path(), "m", {"safetensors"}); });
  EXPECT_EQ(lines.front(), "writing m.safetensors 6/6");
}

TEST(Export, EachStepMayEndItAndLeavesNothing) {
  const QuantizationSimModel sim = calibrated_sim("tied", w4a16());
  for (const std::string stage : {"writing m.pt2", "reading back m.safetensors", "reading back m.pt2"}) {
    const Folder folder;
    const WatchPasses watch([&](const PassEvent& pass) {
      if (pass.name == stage && pass.step == 2) fail("stopped");
    });
    const std::string error = error_of([&] {
      export_model(sim, folder.path("out"), "m", {"safetensors", "pt2"});
    });
    EXPECT_TRUE(error.starts_with("stopped")) << error;
    EXPECT_TRUE(folder.is_empty()) << stage;
  }
}

TEST(Export, AFailureAfterTheFirstFormatKeepsTheOlderFiles) {
  const Folder folder;
  const QuantizationSimModel sim = calibrated_sim("seed", w4a16());
  std::map<uintmax_t, std::string> by_size;
  for (const std::string name : {"safetensors", "encodings"})
    by_size[testing::fs::file_size(export_model(sim, folder.path("whole"), "model", {name}).front())] = name;
  testing::fs::create_directories(folder.path("out"));
  std::ofstream(folder.path("out/model.safetensors")) << "older";
  {
    const FileSizeLimit fits_the_smaller(by_size.rbegin()->first - 1);
    const std::vector<std::string> formats = {by_size.begin()->second, by_size.rbegin()->second};
    EXPECT_NE(error_of([&] { export_model(sim, folder.path("out"), "model", formats); }), "no error");
  }
  EXPECT_EQ(text_of(folder.path("out/model.safetensors")), "older");
  EXPECT_EQ(std::distance(testing::fs::directory_iterator(folder.path("out")), {}), 1);
}

}  // namespace
}  // namespace adascale
