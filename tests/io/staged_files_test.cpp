#include "adascale/io/staged_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "adascale/core/error.h"

namespace adascale::testing {
namespace {

namespace fs = std::filesystem;

struct StagedFilesTest : ::testing::Test {
  fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "staged" /
                    ::testing::UnitTest::GetInstance()->current_test_info()->name();
  StagedFilesTest() { fs::remove_all(folder); }

  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string read(const fs::path& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  size_t files_in_folder() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }
};

TEST_F(StagedFilesTest, files_appear_on_commit_only) {
  StagedFiles files(folder);
  write(files.path("a.txt"), "A");
  write(files.path("b.txt"), "B");
  EXPECT_FALSE(fs::exists(folder / "a.txt"));
  EXPECT_EQ(files.commit(), (std::vector<std::string>{folder / "a.txt", folder / "b.txt"}));
  EXPECT_EQ(read(folder / "a.txt"), "A");
  EXPECT_EQ(read(folder / "b.txt"), "B");
  EXPECT_EQ(files_in_folder(), 2U);
}

TEST_F(StagedFilesTest, without_commit_nothing_is_left_not_even_the_folder) {
  { StagedFiles files(folder); }
  EXPECT_FALSE(fs::exists(folder));
  {
    StagedFiles files(folder);
    write(files.path("a.txt"), "A");
  }
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(StagedFilesTest, an_older_file_stays_until_the_commit_replaces_it) {
  fs::create_directories(folder);
  write(folder / "a.txt", "old");
  {
    StagedFiles files(folder);
    write(files.path("a.txt"), "never finished");
  }
  EXPECT_EQ(read(folder / "a.txt"), "old");
  EXPECT_EQ(files_in_folder(), 1U);
  StagedFiles files(folder);
  write(files.path("a.txt"), "new");
  files.commit();
  EXPECT_EQ(read(folder / "a.txt"), "new");
}

TEST_F(StagedFilesTest, a_path_makes_its_folders_on_commit) {
  StagedFiles files(folder);
  write(files.path("deep/er/a.txt"), "A");
  EXPECT_FALSE(fs::exists(folder / "deep"));
  EXPECT_EQ(files.commit(), (std::vector<std::string>{folder / "deep/er/a.txt"}));
  EXPECT_EQ(read(folder / "deep/er/a.txt"), "A");
}

TEST_F(StagedFilesTest, nothing_appears_when_a_folder_cannot_be_made) {
  fs::create_directories(folder);
  StagedFiles files(folder);
  write(files.path("a.txt"), "A");
  write(files.path("deep/b.txt"), "B");
  write(folder / "deep", "a file that came in between");
  EXPECT_THROW(files.commit(), Error);
  EXPECT_FALSE(fs::exists(folder / "a.txt"));
}

TEST_F(StagedFilesTest, objections_name_the_path) {
  const auto text = [](auto work) -> std::string {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  fs::create_directories(folder / "sub");
  write(folder / "file", "x");
  EXPECT_EQ(text([&] { StagedFiles(folder / "file"); }),
            (folder / "file").string() + ": is a file, expected a folder");
  EXPECT_EQ(text([&] { StagedFiles("/proc/none"); }),
            "/proc/none: the folder cannot be made: No such file or directory");
  EXPECT_EQ(text([&] { StagedFiles(folder).path("../out"); }),
            "'../out': expected a file name, or a path within the output folder");
  EXPECT_EQ(text([&] { StagedFiles(folder).path("sub"); }),
            (folder / "sub").string() + ": is a folder, expected a file name");
  EXPECT_EQ(text([&] { StagedFiles(folder).path("file/deep/a.txt"); }),
            (folder / "file/deep/a.txt").string() + ": its folder " + (folder / "file").string() +
                " is a file; remove it, or choose another folder");
  StagedFiles files(folder);
  const std::string aside = files.path("never_written");
  EXPECT_EQ(text([&] { files.commit(); }), aside + ": cannot be opened: No such file or directory");
  EXPECT_FALSE(text([] { StagedFiles("/proc"); }).empty());
}

}  // namespace
}  // namespace adascale::testing
