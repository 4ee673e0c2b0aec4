#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "adascale/graph/interpreter.h"
#include "graph/programs.h"

namespace adascale::testing {
namespace {

namespace fs = std::filesystem;

constexpr double kScale = 0.05;
constexpr int64_t kZeroPoint = 128, kMin = 0, kMax = 255;

at::Tensor fake_quantize(const at::Tensor& x) {
  return at::fake_quantize_per_tensor_affine(x, kScale, kZeroPoint, kMin, kMax);
}

InsertedNode quantizer_after(ValueId value) {
  return {value,
          "torch.ops.aten.fake_quantize_per_tensor_affine.default",
          {{"scale", kScale}, {"zero_point", kZeroPoint}, {"quant_min", kMin}, {"quant_max", kMax}}};
}

/// Float inputs and results that have a reader.
std::vector<ValueId> quantized_values(const Program& program) {
  std::vector<ValueId> ids;
  for (ValueId id = 0; id < static_cast<ValueId>(program.values.size()); ++id) {
    const Value& value = program.values[id];
    const bool is_activation = value.producer != kNone || program.is_user_input(id);
    const bool is_read = !value.users.empty() || program.is_output(id);
    if (value.dtype == at::kFloat && value.is_float_tensor() && is_activation && is_read) ids.push_back(id);
  }
  return ids;
}

struct Saved {
  fs::path path;
  std::vector<c10::IValue> inputs, outputs;
};

/// Saves `program` with quantizers after `values`, beside a record of its results with them.
Saved save(const Program& program, const std::string& name, const fs::path& folder, const std::string& file,
           const std::vector<ValueId>& values) {
  fs::create_directories(folder);
  RunHooks hooks;
  hooks.transform = [&](ValueId id, const at::Tensor& tensor) {
    return std::find(values.begin(), values.end(), id) == values.end() ? tensor : fake_quantize(tensor);
  };
  const at::NoGradGuard no_grad;
  Saved saved{folder / (file + ".pt2"), recorded_inputs(program, recorded(name)), {}};
  saved.outputs = run_program(program, saved.inputs, hooks);
  std::vector<NamedTensor> record;
  const auto add = [&](const char* kind, const std::vector<c10::IValue>& flat) {
    for (size_t i = 0; i < flat.size(); ++i) {
      if (flat[i].isTensor())
        record.push_back({fmt::format("{}.{}", kind, i), flat[i].toTensor().contiguous()});
    }
  };
  add("input", saved.inputs), add("output", saved.outputs);
  write_safetensors(folder / (file + ".safetensors"), record, {});
  std::vector<InsertedNode> inserted;
  for (ValueId value : values) inserted.push_back(quantizer_after(value));
  save_program(program, saved.path, {}, inserted);
  return saved;
}

void expect_same(const std::vector<c10::IValue>& got, const std::vector<c10::IValue>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (!expected[i].isTensor()) continue;
    EXPECT_TRUE(at::equal(got[i].toTensor(), expected[i].toTensor())) << i;
  }
}

class SaveProgram : public ::testing::TestWithParam<std::string> {
 protected:
  void check(const std::string& file, const std::vector<ValueId>& values) {
    const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / ("saved_programs." + file);
    const Saved saved = save(program_, GetParam(), folder, file, values);
    const at::NoGradGuard no_grad;
    expect_same(run_program(load_program(saved.path), saved.inputs), saved.outputs);
  }
  Program program_ = load_named(GetParam());
};

TEST_P(SaveProgram, as_it_is_computes_the_same) {
  check(GetParam() + "_plain", {});
}

TEST_P(SaveProgram, with_quantizers_computes_what_the_hooks_compute) {
  check(GetParam() + "_quantized", quantized_values(program_));
}

const std::vector<std::string> kPrograms = {"mlp",   "mlp_dynamic", "cnn",         "attention",     "lstm",
                                            "twice", "tied",        "dict_inputs", "llama_dynamic", "bert"};

INSTANTIATE_TEST_SUITE_P(Programs, SaveProgram, ::testing::ValuesIn(kPrograms),
                         [](const auto& test) { return test.param; });

TEST(SavedPrograms, compute_the_same_in_python) {
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "saved_programs.all";
  for (const std::string& name : kPrograms) {
    const Program program = load_named(name);
    save(program, name, folder, name + "_plain", {});
    save(program, name, folder, name + "_quantized", quantized_values(program));
  }
  EXPECT_TRUE(python_computes_the_same(folder));
}

struct SavedMlp : ::testing::Test {
  Program program = load_named("mlp");
  // One file a test: ctest runs them side by side.
  std::string path = fs::path(ADASCALE_TEST_SCRATCH) /
                     (std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".pt2");
};

TEST_F(SavedMlp, takes_the_tensors_given_and_its_own_for_the_rest) {
  const at::Tensor weight = at::full_like(program.state.at("body.0.weight"), 0.5).detach();
  save_program(program, path, {{"body.0.weight", [&] { return weight; }}}, {});
  const Program loaded = load_program(path);
  EXPECT_TRUE(at::equal(loaded.state.at("body.0.weight"), weight));
  EXPECT_TRUE(loaded.state.at("body.0.weight").requires_grad());
  EXPECT_TRUE(at::equal(loaded.state.at("body.2.weight"), program.state.at("body.2.weight")));
}

TEST_F(SavedMlp, keeps_the_order_of_two_nodes_on_one_value) {
  const ValueId hidden = program.find_value("relu");
  const auto add = [&](double number) {
    return InsertedNode{hidden, "torch.ops.aten.add.Scalar", {{"other", number}}};
  };
  const auto clamp = InsertedNode{hidden, "torch.ops.aten.clamp_min.default", {{"min", 3.0}}};
  save_program(program, path, {}, {add(1.0), clamp});
  const Program loaded = load_program(path);
  ASSERT_EQ(loaded.nodes.size(), program.nodes.size() + 2);
  EXPECT_EQ(loaded.nodes[2].op(), "aten::add");
  EXPECT_EQ(loaded.nodes[3].op(), "aten::clamp_min");
  EXPECT_EQ(loaded.nodes[3].reads(), loaded.nodes[2].writes());
  EXPECT_EQ(loaded.nodes[4].input("input")->value, loaded.nodes[3].writes()[0]);
}

TEST_F(SavedMlp, leaves_the_program_and_its_document_alone) {
  const std::string before = program.document->dump();
  save_program(program, path, {}, {quantizer_after(program.find_value("relu"))});
  EXPECT_EQ(program.document->dump(), before);
}

TEST_F(SavedMlp, says_when_the_file_cannot_be_written) {
  EXPECT_EQ(error_of([&] { save_program(program, "/nonexistent/out.pt2", {}, {}); }),
            "/nonexistent/out.pt2: cannot be written: No such file or directory; make its folder first");
  const std::string full = "/dev/full";
  EXPECT_EQ(error_of([&] { save_program(program, full, {}, {}); }),
            full + ": cannot be written: No space left on device; make room there and run again");
}

TEST(SaveTied, one_name_given_serves_both_and_is_stored_once) {
  const Program program = load_named("tied");
  const std::string path = fs::path(ADASCALE_TEST_SCRATCH) / "saved_tied.pt2";
  const at::Tensor weight = at::ones_like(program.state.at("embed.weight")).detach();
  save_program(program, path, {{"embed.weight", [&] { return weight; }}}, {});
  const Program loaded = load_program(path);
  EXPECT_TRUE(at::equal(loaded.state.at("head.weight"), weight));
  EXPECT_TRUE(loaded.state.at("head.weight").is_same(loaded.state.at("embed.weight")));
}

}  // namespace
}  // namespace adascale::testing
