#include "adascale/io/safetensors.h"

#include <ATen/ATen.h>

#include "graph/programs.h"

namespace adascale::testing {
namespace {

namespace fs = std::filesystem;

struct SafetensorsTest : ::testing::Test {
  std::string path =
      fs::path(ADASCALE_TEST_SCRATCH) /
      (std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".safetensors");

  /// A file with this header, a length field that may be wrong, and `bytes` of data.
  void write_raw(const std::string& header, size_t bytes, uint64_t length) const {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), 8);
    file << header << std::string(bytes, '\0');
  }
  std::string objection(const std::string& header, size_t bytes) const {
    write_raw(header, bytes, header.size());
    const std::string text = error_of([&] { read_safetensors(path); });
    EXPECT_EQ(text.rfind(path + ": ", 0), 0U) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text.substr(std::min(text.size(), path.size() + 2));
  }
};

TEST_F(SafetensorsTest, every_dtype_comes_back) {
  std::vector<NamedTensor> tensors;
  for (auto dtype : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                     at::kChar, at::kByte, at::kBool, at::kFloat8_e4m3fn}) {
    tensors.push_back({c10::toString(dtype), at::arange(6).reshape({2, 3}).to(dtype)});
  }
  tensors.push_back({"scalar", at::scalar_tensor(2.5)});
  tensors.push_back({"empty", at::empty({0, 3})});
  write_safetensors(path, tensors, {{"format", "pt"}});
  Tensors read = read_tensors(path);
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_EQ(read[name].scalar_type(), tensor.scalar_type()) << name;
    ASSERT_TRUE(read[name].sizes() == tensor.sizes()) << name;
    EXPECT_TRUE(at::equal(read[name].to(at::kDouble), tensor.to(at::kDouble))) << name;
  }
}

TEST_F(SafetensorsTest, pythons_own_reader_takes_the_file) {
  write_safetensors(path, {{"b \"quoted\"", at::arange(3)}, {"a", at::ones({2, 2})}},
                    {{"made_by", "a test"}});
  const std::string code =
      "import sys; from safetensors import safe_open; f = safe_open(sys.argv[1], 'pt'); "
      "assert f.metadata() == {'made_by': 'a test'}; "
      "assert f.get_tensor('b \\\"quoted\\\"').tolist() == [0, 1, 2]; "
      "assert f.get_tensor('a').sum() == 4";
  const std::string command = std::string(ADASCALE_TEST_PYTHON) + " -c \"" + code + "\" " + path;
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(SafetensorsTest, a_lying_length_is_refused) {
  for (const uint64_t length : {uint64_t{3}, uint64_t{1} << 30, UINT64_MAX}) {
    write_raw("{}", 0, length);
    const std::string text = error_of([&] { read_safetensors(path); });
    EXPECT_EQ(text, path + ": not a .safetensors file, or truncated: a header of " + std::to_string(length) +
                        " bytes in a file of 10");
  }
  std::ofstream(path, std::ios::binary) << "abc";
  EXPECT_EQ(error_of([&] { read_safetensors(path); }), path + ": not a .safetensors file: 3 bytes");
}

TEST_F(SafetensorsTest, hostile_headers_are_named) {
  const std::string tail = ",\"data_offsets\":[0,16]}";
  EXPECT_EQ(objection("{\"t\":{\"dtype\":\"F99\",\"shape\":[4]" + tail + "}", 16),
            "tensor 't' has dtype 'F99', which is not known");
  EXPECT_EQ(objection("{\"t\":{\"dtype\":\"F32\",\"shape\":[4]" + tail + "}", 8),
            "tensor 't' lies at 0 to 16, outside the file's 8 bytes of data: truncated?");
  EXPECT_EQ(objection("{\"t\":{\"dtype\":\"F32\",\"shape\":[5]" + tail + "}", 16),
            "tensor 't' takes 16 bytes, expected 20 for its shape");
  EXPECT_EQ(objection("{\"t\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296]" + tail + "}", 16),
            "tensor 't' has an impossible shape");
  EXPECT_EQ(objection("{\"t\":{\"dtype\":\"F32\",\"shape\":[-4]" + tail + "}", 16),
            "tensor 't' has an impossible shape");
  EXPECT_EQ(
      objection("{\"t\":{\"dtype\":\"F32\",\"shape\":[0,4294967296,4294967296],\"data_offsets\":[0,0]}}", 0),
      "tensor 't' has an impossible shape");
  EXPECT_EQ(objection("{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16),
            "tensor 't' lies at 16 to 0, outside the file's 16 bytes of data: truncated?");
  EXPECT_EQ(objection("{\"t\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-1,15]}}", 16),
            "tensor 't' has data_offsets [-1,15], expected two positions");
  const std::string t = "{\"dtype\":\"F32\",\"shape\":[4]" + tail;
  EXPECT_EQ(objection("{\"t\":" + t + ",\"t\":" + t + "}", 16), "the header names 't' twice");
  EXPECT_EQ(
      objection("{\"t\":" + t + ",\"u\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,24]}}", 24),
      "tensors 't' and 'u' overlap");
  EXPECT_EQ(objection("{\"t\":", 0).rfind("the .safetensors header is not valid: ", 0), 0U);
  EXPECT_EQ(objection("{\"t\":" + std::string(1000000, '['), 0), "JSON nested more than 200 levels deep");
  EXPECT_EQ(objection("[1,2]", 0).rfind("the .safetensors header is not valid: ", 0), 0U);
  EXPECT_EQ(objection("{\"t\":{\"shape\":[4]}}", 0).rfind("the .safetensors header is not valid: ", 0), 0U);
}

TEST_F(SafetensorsTest, what_cannot_be_written_is_said) {
  EXPECT_EQ(error_of([&] {
              write_safetensors("/dev/full", {{"a", at::ones({4})}}, {});
            }),
            "/dev/full: cannot be written: No space left on device; make room there and run again");
  EXPECT_EQ(error_of([&] {
              write_safetensors(path, {{"a", at::ones(4)}, {"a", at::ones(4)}}, {});
            }),
            path + ": tensor name 'a' cannot be written twice");
}

}  // namespace
}  // namespace adascale::testing
