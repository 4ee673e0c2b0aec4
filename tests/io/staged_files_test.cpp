#include "adascale/io/staged_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
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
  /// What lies in the parent folder and has the folder's name in its own.
  std::set<std::string> names_beside() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder.parent_path()))
      if (entry.path().filename().string().find(folder.filename()) != std::string::npos)
        names.insert(entry.path().filename());
    return names;
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

TEST_F(StagedFilesTest, a_written_file_can_be_read_before_the_commit) {
  StagedFiles files(folder);
  const std::string path = files.path("deep/a.txt");
  write(path, "A");
  files.flush();
  EXPECT_EQ(files.aside("deep/a.txt"), path);
  EXPECT_EQ(read(path), "A");
  EXPECT_THROW(files.aside("b.txt"), Error);
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

/// All files below, with their texts.
std::map<std::string, std::string> content_of(const fs::path& folder) {
  std::map<std::string, std::string> content;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) {
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      content[entry.path().lexically_relative(folder).string()] = text.str();
    }
  return content;
}

using Content = std::map<std::string, std::string>;

TEST_F(StagedFilesTest, the_folders_other_files_stay) {
  fs::create_directories(folder / "sub");
  write(folder / "mine.txt", "mine");
  write(folder / "sub/mine.txt", "mine too");
  write(folder / "a.txt", "old");
  fs::create_symlink("mine.txt", folder / "link");
  fs::permissions(folder, fs::perms::owner_all | fs::perms::group_read);
  StagedFiles files(folder);
  write(files.path("a.txt"), "new");
  write(files.path("sub/b.txt"), "B");
  files.commit();
  EXPECT_EQ(content_of(folder), (Content{{"a.txt", "new"},
                                         {"link", "mine"},
                                         {"mine.txt", "mine"},
                                         {"sub/b.txt", "B"},
                                         {"sub/mine.txt", "mine too"}}));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(fs::status(folder).permissions(), fs::perms::owner_all | fs::perms::group_read);
  EXPECT_EQ(names_beside(), std::set<std::string>{folder.filename()});
}

TEST_F(StagedFilesTest, what_a_killed_process_left_goes_with_the_next) {
  fs::create_directories(folder);
  const fs::path beside = folder.parent_path() / ("." + folder.filename().string() + ".adascale");
  fs::create_directories(beside / "deep");
  write(beside / "deep/half.bin", "half");
  StagedFiles files(folder);
  write(files.path("a.txt"), "A");
  files.commit();
  EXPECT_EQ(content_of(folder), (Content{{"a.txt", "A"}}));
  EXPECT_FALSE(fs::exists(beside));
}

TEST_F(StagedFilesTest, what_a_writer_left_aside_does_not_appear) {
  StagedFiles files(folder);
  const fs::path aside = files.path("a.txt");
  write(aside, "A");
  write(aside.parent_path() / "scratch", "of a library");
  files.commit();
  EXPECT_EQ(content_of(folder), (Content{{"a.txt", "A"}}));
}

TEST_F(StagedFilesTest, two_at_a_time_both_appear) {
  StagedFiles one(folder), other(folder);
  write(one.path("a.txt"), "A");
  write(other.path("b.txt"), "B");
  other.commit();
  one.commit();
  EXPECT_EQ(content_of(folder), (Content{{"a.txt", "A"}, {"b.txt", "B"}}));
}

TEST_F(StagedFilesTest, who_stands_in_the_folder_sees_the_files) {
  fs::create_directories(folder);
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  {
    StagedFiles files(".");
    write(files.path("a.txt"), "A");
    files.commit();
    EXPECT_TRUE(fs::exists("a.txt"));
  }
  fs::current_path(before);
  EXPECT_EQ(content_of(folder), (Content{{"a.txt", "A"}}));
}

TEST_F(StagedFilesTest, a_folder_is_exchanged_only_where_nothing_else_is_in_it) {
  const auto inode = [&] {
    struct stat there {};
    stat(folder.c_str(), &there);
    return there.st_ino;
  };
  const auto put = [&] {
    StagedFiles files(folder);
    write(files.path("a.txt"), "A");
    files.commit();
  };
  fs::create_directories(folder);
  const auto made = inode();
  put();
  const auto first = inode();
  put();
  const auto second = inode();
  EXPECT_NE(made, first) << "empty";
  EXPECT_NE(first, second) << "holds what is replaced";
  write(folder / "mine.txt", "mine");
  put();
  EXPECT_EQ(inode(), second);
  fs::remove(folder / "mine.txt");
  fs::create_directory(folder / "sub");
  put();
  EXPECT_EQ(inode(), second);
}

TEST_F(StagedFilesTest, single_files_are_renamed_within_the_folder) {
  StagedFiles files(folder, StagedFiles::Place::kEachFile);
  const fs::path aside = files.path("a.txt");
  EXPECT_EQ(aside.parent_path(), folder);
  write(aside, "A");
  files.commit();
  EXPECT_EQ(content_of(folder), (Content{{"a.txt", "A"}}));
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
