#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "adascale/io/staged_files.h"

// A commit that dies before and after each of its system calls, one try for each.
namespace adascale::testing {
namespace {

namespace fs = std::filesystem;
using Contents = std::map<std::string, std::string>;  // of a folder, by name

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

Contents contents_of(const fs::path& folder) {
  Contents contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    contents[entry.path().lexically_relative(folder).string()] = text.str();
  }
  return contents;
}

constexpr int kNotTraced = 77;

/// Stops the process where it is; the parent lets it go on from one system call to the next. Returns the exit code.
int commit(const fs::path& folder, const Contents& contents) try {
  StagedFiles files(folder.string());
  for (const auto& [name, text] : contents) write_file(files.path(name), text);
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return kNotTraced;
  raise(SIGSTOP);
  files.commit();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

/// Lets another process commit and kills it at the stop of that number: each system call has one before
/// and one after it. False: the process came to its end first.
bool commit_killed_at(int stop, const fs::path& folder, const Contents& contents) {
  const pid_t child = fork();
  if (child == 0) _exit(commit(folder, contents));
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == kNotTraced)
      << "this machine does not allow ptrace";
  for (int i = 0; i < stop && WIFSTOPPED(status); ++i) {
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    waitpid(child, &status, 0);
  }
  if (!WIFSTOPPED(status)) {
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return false;
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return true;
}

const Contents kOld = {{"config.json", "old config"},
                       {"model-1.safetensors", "old weights 1"},
                       {"model-2.safetensors", "old weights 2"},
                       {"model.safetensors.index.json", "old index"}};
const Contents kNew = {{"config.json", "new config"},
                       {"model-1.safetensors", "new weights 1"},
                       {"model-2.safetensors", "new weights 2"},
                       {"model.safetensors.index.json", "new index"}};

struct CommitKills : ::testing::Test {
  fs::path parent = fs::path(ADASCALE_TEST_SCRATCH) / "commit_kills" /
                    ::testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::path folder = parent / "out";

  /// Commits kNew over what `prepare` made, killed at every stop in turn; `check` sees the folder that is left. Then
  /// the next run commits undisturbed: nothing that was left is in its way or stays.
  void try_all(const std::function<void()>& prepare, const std::function<void(const Contents&)>& check,
               const Contents& finished) {
    int stop = 0;
    for (bool was_killed = true; was_killed; ++stop) {
      SCOPED_TRACE("stop " + std::to_string(stop));
      fs::remove_all(parent);
      fs::create_directories(parent);
      prepare();
      was_killed = commit_killed_at(stop, folder, kNew);
      check(contents_of(folder));
      {
        StagedFiles next(folder.string());
        for (const auto& [name, text] : kNew) write_file(next.path(name), text);
        next.commit();
      }
      EXPECT_EQ(contents_of(folder), finished);
      EXPECT_EQ(std::distance(fs::directory_iterator(parent), fs::directory_iterator()), 1);
      if (HasFailure()) return;
    }
    EXPECT_GT(stop, 20);  // as many stops as that: the calls were seen
  }
};

TEST_F(CommitKills, a_new_folder_is_empty_or_whole) {
  const auto check = [](const Contents& left) { EXPECT_TRUE(left.empty() || left == kNew); };
  try_all([] {}, check, kNew);
}

TEST_F(CommitKills, a_folder_of_replaced_files_is_old_or_new) {
  const auto prepare = [&] {
    fs::create_directory(folder);
    for (const auto& [name, text] : kOld) write_file(folder / name, text);
  };
  int olds = 0, news = 0;
  const auto check = [&](const Contents& left) {
    EXPECT_TRUE(left == kOld || left == kNew);
    ++(left == kOld ? olds : news);
  };
  try_all(prepare, check, kNew);
  EXPECT_GT(olds, 0);
  EXPECT_GT(news, 1);
}

TEST_F(CommitKills, beside_the_users_files_each_is_old_or_new_and_json_comes_last) {
  const auto prepare = [&] {
    fs::create_directory(folder);
    for (const auto& [name, text] : kOld) write_file(folder / name, text);
    write_file(folder / "notes.txt", "the user's");
  };
  const auto check = [](Contents left) {
    EXPECT_EQ(left["notes.txt"], "the user's");
    left.erase("notes.txt");
    EXPECT_EQ(left.size(), kNew.size());
    for (const auto& [name, text] : left) EXPECT_TRUE(text == kOld.at(name) || text == kNew.at(name)) << name;
    const bool has_new_json =
        left["model.safetensors.index.json"] == "new index" || left["config.json"] == "new config";
    if (has_new_json) {
      EXPECT_EQ(left["model-1.safetensors"], "new weights 1");
      EXPECT_EQ(left["model-2.safetensors"], "new weights 2");
    }
  };
  Contents finished = kNew;
  finished["notes.txt"] = "the user's";
  try_all(prepare, check, finished);
}

}  // namespace
}  // namespace adascale::testing
