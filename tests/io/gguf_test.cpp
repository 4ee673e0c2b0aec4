#include "adascale/io/gguf.h"

#include <ATen/ATen.h>

#include <random>

#include "graph/programs.h"

namespace adascale::testing {
namespace {

namespace fs = std::filesystem;

struct GgufTest : ::testing::Test {
  std::string path = fs::path(ADASCALE_TEST_SCRATCH) /
                     (std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".gguf");

  static GgufEntry entry(const std::string& name, const at::Tensor& values) {
    return {name, values.sizes().vec(), &ggml_type_named("F32"), [values] { return values; }};
  }
  void write_one() const {
    const GgufMetadata metadata = {{"general.architecture", std::string("llama")},
                                   {"general.quantization_version", uint32_t{2}},
                                   {"a.byte", uint8_t{200}},
                                   {"a.negative", int64_t{-5}},
                                   {"a.flag", true},
                                   {"a.ratio", 0.25F},
                                   {"a.double", 0.1},
                                   {"tokens", gguf_array<std::string>({"a", "", "ü"})},
                                   {"types", gguf_array<int32_t>({1, -3})}};
    write_gguf(path, metadata,
               {entry("blk.0.weight", at::arange(6, at::kFloat).view({2, 3})),
                entry("norm", at::ones({5}, at::kFloat)),
                {"packed", {2, 64}, &ggml_type_named("Q4_0"), [] { return at::arange(72).to(at::kByte); }}});
  }
  std::string content() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write_bytes(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
  std::string objection_to(const std::string& bytes) const {
    write_bytes(bytes);
    const std::string text = error_of([&] { read_gguf(path); });
    EXPECT_EQ(text.rfind(path + ": ", 0), 0U) << text;
    return text.substr(std::min(text.size(), path.size() + 2));
  }
  /// A file of no tensors and one key, whose bytes after the type are `value`.
  static std::string file_with(uint64_t tensors, uint64_t keys, const std::string& rest) {
    std::string bytes("GGUF\3\0\0\0", 8);
    bytes.append(reinterpret_cast<const char*>(&tensors), 8);
    bytes.append(reinterpret_cast<const char*>(&keys), 8);
    return bytes + rest;
  }
};

TEST_F(GgufTest, everything_comes_back) {
  write_one();
  const GgufFile read = read_gguf(path);
  EXPECT_EQ(std::get<std::string>(*find_value(read.metadata, "general.architecture")), "llama");
  EXPECT_EQ(std::get<uint32_t>(*find_value(read.metadata, "general.quantization_version")), 2U);
  EXPECT_EQ(std::get<uint8_t>(*find_value(read.metadata, "a.byte")), 200);
  EXPECT_EQ(std::get<int64_t>(*find_value(read.metadata, "a.negative")), -5);
  EXPECT_TRUE(std::get<bool>(*find_value(read.metadata, "a.flag")));
  EXPECT_EQ(std::get<float>(*find_value(read.metadata, "a.ratio")), 0.25F);
  EXPECT_EQ(std::get<double>(*find_value(read.metadata, "a.double")), 0.1);
  const auto tokens = std::get<std::shared_ptr<GgufArray>>(*find_value(read.metadata, "tokens"));
  ASSERT_EQ(tokens->items.size(), 3U);
  EXPECT_EQ(std::get<std::string>(tokens->items[2]), "ü");
  EXPECT_EQ(find_value(read.metadata, "b"), nullptr);

  ASSERT_EQ(read.tensors.size(), 3U);
  EXPECT_EQ(read.find("blk.0.weight")->sizes, (std::vector<int64_t>{2, 3}));
  EXPECT_TRUE(at::equal(read.bytes(*read.find("blk.0.weight")).view(at::kFloat), at::arange(6, at::kFloat)));
  EXPECT_STREQ(read.find("packed")->type->name, "Q4_0");
  EXPECT_TRUE(at::equal(read.bytes(*read.find("packed")), at::arange(72).to(at::kByte)));
  for (const GgufTensor& tensor : read.tensors) EXPECT_EQ(tensor.begin % 32, 0U);
}

TEST_F(GgufTest, pythons_own_reader_takes_the_file) {
  write_one();
  const std::string code =
      "import sys; from gguf import GGUFReader; r = GGUFReader(sys.argv[1]); "
      "t = {x.name: x for x in r.tensors}; "
      "assert t['blk.0.weight'].data.tolist() == [[0, 1, 2], [3, 4, 5]]; "
      "assert t['packed'].tensor_type.name == 'Q4_0' and t['packed'].data.flatten().tolist() == "
      "list(range(72)); "
      "assert r.fields['tokens'].contents() == ['a', '', chr(252)]; "
      "assert r.fields['a.negative'].contents() == -5";
  const std::string command = std::string(ADASCALE_TEST_PYTHON) + " -c \"" + code + "\" " + path;
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(GgufTest, every_truncation_is_an_error) {
  write_one();
  const std::string whole = content();
  const uint64_t data_end = read_gguf(path).find("packed")->begin + 72;
  for (size_t length = 1; length < data_end; ++length) {
    write_bytes(whole.substr(0, length));
    EXPECT_THROW(read_gguf(path), Error) << length;
  }
}

// The result is an Error, or tensors inside the file.
TEST_F(GgufTest, survives_random_bytes) {
  write_one();
  const std::string whole = content();
  std::mt19937 random(1);
  int refused = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    std::string bytes = whole;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips)
      bytes[random() % (bytes.size() - 160)] = static_cast<char>(random() % 5 == 0 ? 0xFF : random());
    write_bytes(bytes);
    try {
      const GgufFile read = read_gguf(path);
      for (const GgufTensor& tensor : read.tensors) read.bytes(tensor).sum().item<int64_t>();
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Error::Fault::kUser) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST_F(GgufTest, says_what_is_wrong) {
  const std::string key("\1\0\0\0\0\0\0\0k", 9);
  EXPECT_EQ(objection_to("PK\3\4 this is a zip file, and long enough"), "is no GGUF file");
  std::string big = file_with(0, 0, "");
  std::swap(big[4], big[7]);
  EXPECT_EQ(objection_to(big),
            "GGUF version 50331648, expected 2 or 3 (it is big-endian); "
            "convert it with llama.cpp's current tools");
  EXPECT_EQ(objection_to(file_with(1ULL << 60, 0, "")),
            "announces 1152921504606846976 tensors, but only 8 bytes are left: truncated?");
  EXPECT_EQ(objection_to(file_with(0, 1, key + std::string("\15\0\0\0 ", 5))),
            "'k' has value type 13, expected 0 to 12");
  EXPECT_EQ(objection_to(file_with(0, 1, key + std::string("\11\0\0\0\11\0\0\0\1\0\0\0\0\0\0\0", 16))),
            "'k' is an array of arrays, which is not read");
  const std::string info = key + std::string("\1\0\0\0\40\0\0\0\0\0\0\0", 12);
  EXPECT_EQ(objection_to(file_with(1, 0, info + std::string("\x63\0\0\0\0\0\0\0\0\0\0\0", 12))),
            "tensor 'k' has ggml type 99, which is not known");
  EXPECT_EQ(objection_to(file_with(1, 0, info + std::string("\14\0\0\0\0\0\0\0\0\0\0\0", 12))),
            "tensor 'k' is Q4_K, whose blocks of 256 do not divide rows of 32");
  EXPECT_EQ(objection_to(file_with(1, 0, info + std::string("\2\0\0\0\0\0\0\0\0\0\0\0", 12))),
            "tensor 'k' lies at 0, 18 bytes long, outside the file's data: truncated?");
}

}  // namespace
}  // namespace adascale::testing
