#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "adascale/graph/interpreter.h"
#include "graph/programs.h"

namespace adascale::testing {
namespace {

namespace fs = std::filesystem;

std::string broken_file(const std::string& name) {
  return made_by("io/make_broken.py", "broken_programs") / (name + ".pt2");
}

struct Broken {
  const char* name;
  const char* text;  // part of the error
};

class LoadBroken : public ::testing::TestWithParam<Broken> {};

TEST_P(LoadBroken, says_in_one_line_what_is_wrong) {
  const std::string path = broken_file(GetParam().name);
  const std::string text = error_of([&] { load_program(path); });
  EXPECT_EQ(text.rfind(path + ": ", 0), 0U) << text;
  EXPECT_NE(text.find(GetParam().text), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

constexpr Broken kBroken[] = {
    {"schema", "the export schema's version is 9, expected 8; export the model again with PyTorch 2.13"},
    {"no_schema", "key 'schema_version' not found"},
    {"no_graph", "key 'graph' not found"},
    {"bad_json", "the program is not a torch.export document"},
    {"operator", "operators that this process does not have: torch.ops.mine.secret.default"},
    {"argument", "node 'linear' (torch.ops.aten.linear.default): argument kind 'as_riddle' is not supported"},
    {"undefined", "value 'ghost' is used before it is made"},
    {"pickled", "'0.weight': stored as a pickle, which is never read"},
    {"beyond", "'0.weight': the tensor reaches beyond its 12 stored elements"},
    {"huge", "'0.weight': the tensor reaches beyond its 12 stored elements"},
    {"overflowing", "'0.weight': the tensor reaches beyond its 12 stored elements"},
    {"repeated", "'0.weight': repeats 12 stored elements to 206158430208, expected at most 67108864"},
    {"float", "'0.weight': got '1e+300', expected an integer"},
    {"deep", "the program: JSON nested more than 200 levels deep"},
    {"bomb", "so it is compressed; save with torch.export.save"},
    {"negative", "'0.weight': the tensor reaches beyond its 12 stored elements"},
    {"short_weight", "'0.weight': the tensor reaches beyond its 2 stored elements"},
    {"dtype", "'0.weight': dtype number 99 of the export schema is not supported"},
    {"missing", "the program names tensors that were not given: 0.bias"},
    {"no_weight", "the archive has no record 'data/weights/weight_0'"},
    {"no_model", "not a .pt2 file (it has no models/model.json)"},
    {"old", "saved by an older PyTorch"},
    {"big_endian", "weights are big-endian"},
    {"compressed", "is compressed"},
    {"checkpoint", "not a .pt2 file"},
};

INSTANTIATE_TEST_SUITE_P(Files, LoadBroken, ::testing::ValuesIn(kBroken),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(LoadProgram, reads_records_at_any_offset) {
  const Program program = load_program(broken_file("good"));
  const at::Tensor output = run_program(program, {at::ones({2, 3})}).at(0).toTensor();
  const at::Tensor weight = program.state.at("0.weight"), bias = program.state.at("0.bias");
  EXPECT_TRUE(at::allclose(output, at::relu(weight.sum(1) + bias).expand({2, 4})));
}

TEST(LoadProgram, names_what_is_no_program) {
  const std::string missing = "/nonexistent/model.pt2";
  EXPECT_EQ(error_of([&] { load_program(missing); }),
            missing + ": cannot be read: No such file or directory");
  EXPECT_EQ(error_of([&] { load_program("/"); }), "/: cannot be read: Is a directory");
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "load_program";
  fs::create_directories(folder);
  const std::string text = folder / "text.pt2", empty = folder / "empty.pt2";
  std::ofstream(text) << "These are not the weights you are looking for.\n";
  std::ofstream(empty).flush();
  EXPECT_EQ(error_of([&] { load_program(text); }),
            text + ": not a .pt2 file (not a zip archive); save the model with torch.export.save");
  EXPECT_EQ(error_of([&] { load_program(empty); }), empty + ": the file is empty");
}

TEST(LoadProgram, a_truncated_file_is_refused_wherever_it_ends) {
  const std::string good = programs_folder() / "mlp.pt2",
                    cut = fs::path(ADASCALE_TEST_SCRATCH) / "truncated.pt2";
  const auto size = fs::file_size(good);
  for (int tenths = 1; tenths < 10; ++tenths) {
    fs::copy_file(good, cut, fs::copy_options::overwrite_existing);
    fs::resize_file(cut, size * tenths / 10);
    const std::string text = error_of([&] { load_program(cut); });
    EXPECT_EQ(text.rfind(cut + ": the .pt2 archive is truncated or damaged: ", 0), 0U) << text;
  }
}

TEST(LoadProgram, a_training_mode_export_is_refused_with_its_cure) {
  const std::string path = programs_folder() / "training.pt2";
  EXPECT_EQ(error_of([&] { load_program(path); }),
            path + ": bn (batch_norm): aten::batch_norm runs in training mode; export model.eval()");
}

TEST(LoadProgram, writing_into_a_loaded_weight_leaves_the_file_alone) {
  const std::string path = programs_folder() / "linear.pt2";
  const Program first = load_program(path);
  at::Tensor weight = first.state.at("weight").detach();
  weight.fill_(7);
  EXPECT_FALSE(at::equal(load_program(path).state.at("weight"), weight));
}

TEST(ParseProgram, takes_a_document_and_tensors_by_reference) {
  const Program loaded = load_named("mlp");
  const Program parsed = parse_program(loaded.document->dump(), loaded.state);
  EXPECT_TRUE(parsed.state.at("body.0.weight").is_same(loaded.state.at("body.0.weight")));
  EXPECT_EQ(parsed.nodes.size(), loaded.nodes.size());
  EXPECT_EQ(error_of([&] {
              parse_program("not json", {});
            }).rfind("the program is not a torch.export document: ", 0),
            0U);
}

}  // namespace
}  // namespace adascale::testing
