#include "adascale/io/scratch_file.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/all.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "adascale/core/error.h"
#include "error_text.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;
using testing::error_of;

constexpr int64_t kPage = 1 << 16;  // bytes; whole pages on every machine

at::Tensor tensor_of(float value) {
  return at::full({kPage / 4}, value);
}

/// TMPDIR for a test's time.
struct TemporaryFolder {
  explicit TemporaryFolder(const std::string& path) { setenv("TMPDIR", path.c_str(), 1); }
  ~TemporaryFolder() { unsetenv("TMPDIR"); }
};

TEST(ScratchFile, CopiesValuesAndStrides) {
  const auto file = ScratchFile::open();
  const at::Tensor x = at::arange(24, at::kFloat).view({2, 3, 4}).permute({0, 2, 1});
  const at::Tensor y = file->copy(x), codes = file->copy(at::arange(5, at::kShort));
  EXPECT_TRUE(y.equal(x));
  EXPECT_EQ(y.strides(), x.strides());
  EXPECT_NE(y.const_data_ptr(), x.const_data_ptr());
  EXPECT_TRUE(codes.equal(at::arange(5, at::kShort)));
}

TEST(ScratchFile, RoomIsUsedAgainOnceNobodyHoldsIt) {
  const auto file = ScratchFile::open();
  at::Tensor first = file->copy(tensor_of(1)), second = file->copy(tensor_of(2));
  const at::Tensor view = second.narrow(0, 0, 2);
  second = at::Tensor();
  const at::Tensor third = file->copy(tensor_of(3));
  EXPECT_EQ(file->size(), 3 * kPage) << "a view still holds the second";
  first = at::Tensor();
  const at::Tensor fourth = file->copy(tensor_of(4));
  EXPECT_EQ(file->size(), 3 * kPage);
  EXPECT_TRUE(third.equal(tensor_of(3)) && fourth.equal(tensor_of(4)) && view.equal(at::full({2}, 2.0F)));
}

TEST(ScratchFile, RoomsOfOtherSizesAreCutAndJoined) {
  const auto file = ScratchFile::open();
  const auto of_pages = [&](int64_t pages) {
    return file->copy(at::full({pages * kPage / 4}, float(pages)));
  };
  at::Tensor a = of_pages(1), b = of_pages(2), c = of_pages(1);
  const at::Tensor last = of_pages(1);
  a = at::Tensor(), c = at::Tensor(), b = at::Tensor();  // four pages in a row, given back out of order
  const at::Tensor three = of_pages(3), one = of_pages(1);
  EXPECT_EQ(file->size(), 5 * kPage);
  EXPECT_TRUE(three.eq(3).all().item<bool>() && one.eq(1).all().item<bool>() &&
              last.eq(1).all().item<bool>());
}

TEST(ScratchFile, TensorsOutliveIt) {
  at::Tensor kept;
  {
    const auto file = ScratchFile::open();
    kept = file->copy(tensor_of(5));
  }
  EXPECT_TRUE(kept.equal(tensor_of(5)));
}

TEST(ScratchFile, HasNoName) {
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "scratch_folder";
  fs::create_directories(folder);
  const TemporaryFolder temporary(folder);
  const auto file = ScratchFile::open();
  const at::Tensor kept = file->copy(tensor_of(1));
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(ScratchFile, AMissingFolderIsNamed) {
  const TemporaryFolder temporary("/no/such/folder");
  const std::string text = error_of([] { ScratchFile::open(); });
  EXPECT_NE(text.find("TMPDIR"), std::string::npos) << text;
}

// A limit on the file's size stands in for a full disk: both refuse room.
TEST(ScratchFile, AFullDiskIsAnErrorAndNotASignal) {
  const auto file = ScratchFile::open();
  const at::Tensor kept = file->copy(tensor_of(1));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{static_cast<rlim_t>(kPage), before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  const std::string text = error_of([&] { file->copy(tensor_of(2)); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(text.find("cannot grow"), std::string::npos) << text;
  EXPECT_TRUE(kept.equal(tensor_of(1)));
  EXPECT_TRUE(file->copy(tensor_of(3)).equal(tensor_of(3))) << "and it goes on once there is room";
}

}  // namespace
}  // namespace adascale
