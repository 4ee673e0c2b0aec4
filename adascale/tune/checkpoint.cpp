#include "adascale/tune/checkpoint.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/core/spelling.h"
#include "adascale/io/staged_files.h"
#include "adascale/tune/saved_run.h"
#include "adascale/tune/whole_file.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

constexpr const char *kRun = "run.json", *kLock = "lock", *kBlock = "block-", *kEnding = ".safetensors",
                     *kStage = "last-stage.safetensors";
constexpr const char* kAside = ".adascale-";  // StagedFiles' own, left behind by a kill

std::string name_of(size_t block) {
  return fmt::format("{}{:05}{}", kBlock, block, kEnding);
}

/// "block-00012.safetensors".
bool is_block(const std::string& name) {
  const std::string number = name.size() == name_of(0).size() ? name.substr(std::strlen(kBlock), 5) : "";
  return !number.empty() &&
         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         name == kBlock + number + kEnding;
}

bool is_ours(const std::string& name) {
  return name == kRun || name == kLock || name == kStage || is_block(name) || name.starts_with(kAside);
}

/// Whether another process, or another Checkpoint of this one, has the lock.
bool is_in_use(const std::string& folder) {
  const int lock = ::open((folder + "/" + kLock).c_str(), O_RDWR | O_CLOEXEC);
  if (lock < 0) return false;
  const bool is_taken = flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(lock);
  return is_taken;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    names.push_back(entry.path().filename().string());
  return names;
}

/// Whole ones from the first on: those that a run does not train again.
int64_t whole_in(const std::string& folder) {
  int64_t whole = 0;
  while (is_whole(folder + "/" + name_of(whole))) ++whole;
  return whole;
}

std::string describe_finished(int64_t blocks) {
  return fmt::format("{} finished block{}", blocks, blocks == 1 ? "" : "s");
}

int64_t finished_in(const std::string& folder, bool resume) {
  const std::vector<std::string> names = names_in(folder);
  if (std::find(names.begin(), names.end(), kRun) == names.end()) return 0;
  const int64_t finished = std::count_if(names.begin(), names.end(), is_block);
  ADA_CHECK(resume || finished == 0,
            "{}: holds {} of an interrupted run; go on with {}, or remove the folder to start anew", folder,
            describe_finished(finished), option("resume", true));
  return finished;
}

}  // namespace

struct Checkpoint::Folder {
  std::string path;
  int lock = -1;
  bool goes_on = false;            // blocks of the interrupted run may still be read
  bool keeps_stage = true;         // no writing of it has failed
  std::optional<int> own_threads;  // of the process, where the interrupted run had another number

  /// Of a team the first process makes it and keeps others out.
  Folder(const std::string& folder, bool leads) : path(folder) {
    if (!leads) return;
    check_checkpoint_folder(path);
    std::error_code error;
    fs::create_directories(path, error);  // the check leaves none
    lock = ::open((path + "/" + kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ADA_CHECK(lock >= 0, "{}: the folder is not writable: {}", path, std::strerror(errno));
    // Some file systems know no locks; there two runs are the user's care.
    const bool is_taken = flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (is_taken) ::close(std::exchange(lock, -1));
    ADA_CHECK(!is_taken, "{}: another run works in this folder; wait for it, or give another {}", path,
              option("checkpoint_dir"));
    remove_leftovers();
  }
  ~Folder() {
    if (own_threads) at::set_num_threads(*own_threads);
    if (lock >= 0) ::close(lock);
  }
  Folder(const Folder&) = delete;

  std::string file(const std::string& name) const { return path + "/" + name; }

  void remove_leftovers() const {
    for (const std::string& name : names_in(path))
      if (name.starts_with(kAside)) fs::remove(file(name));
  }

  void take_over_bits(const Fingerprint& saved, const Fingerprint& now);

  template <class Write>
  void put(const std::string& name, const Write& write) const {
    StagedFiles staged(path, StagedFiles::Place::kEachFile);
    write(staged.path(name));
    staged.commit();
  }
};

/// Sums are then split as they were. More threads than the machine has would be slow, and other bits harm
/// nothing but comparisons.
void Checkpoint::Folder::take_over_bits(const Fingerprint& saved, const Fingerprint& now) {
  std::vector<std::string> others;
  const bool same_processes = value_in(saved.bits, "processes") == value_in(now.bits, "processes");
  for (const auto& [name, value] : now.bits) {
    const std::string before = value_in(saved.bits, name);
    if (before == value) continue;
    const int threads = name == "threads" && same_processes ? std::atoi(before.c_str()) : 0;
    if (threads > 0 && threads <= static_cast<int>(std::thread::hardware_concurrency())) {
      own_threads = at::get_num_threads();
      at::set_num_threads(threads);
      log_line(fmt::format("{}: trains with {} thread{}, as the interrupted run did, for the same bytes",
                           path, threads, threads == 1 ? "" : "s"));
    } else {
      others.push_back(fmt::format("{} {} instead of {}", name, value, before));
    }
  }
  if (!others.empty())
    log_line(fmt::format("{}: goes on with {}: bytes may differ from those of an uninterrupted run", path,
                         fmt::join(others, ", ")));
}

Checkpoint::Checkpoint() = default;
Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;

Checkpoint::Checkpoint(const std::string& folder, bool resume, const Fingerprint& fingerprint, Team& team)
    : team_(&team) {
  if (!team.leads()) team.wait();  // until it is there
  folder_ = std::make_unique<Folder>(folder, team.leads());
  ADA_CHECK(team.leads() || fs::exists(folder_->file(kRun)),
            "{}: process {} of {} does not see what the first one has there; give {} in a folder that all "
            "see, or {}",
            folder, team.rank(), team.size(), option("checkpoint_dir"), option("checkpoint_dir", "none"));
  const int64_t finished = finished_in(folder, resume || !team.leads());
  if (finished > 0) {
    const Fingerprint saved = read_run(folder_->file(kRun));
    check_same(folder, saved, fingerprint);
    folder_->take_over_bits(saved, fingerprint);
    folder_->goes_on = true;
    if (const int64_t whole = whole_in(folder); whole > 0)
      log_line(fmt::format("{}: goes on behind {}", folder, describe_finished(whole)));
  } else if (team.leads()) {
    if (resume) log_line(fmt::format("{}: holds no finished block: starts from the beginning", folder));
    fs::remove(folder_->file(kStage));  // of a run whose blocks are gone
    folder_->put(kRun, [&](const std::string& path) { write_run(path, fingerprint); });
  }
  if (team.leads()) team.wait();
}

std::optional<SavedBlock> Checkpoint::read(size_t block, const std::vector<ExpectedWeight>& weights) {
  if (!folder_) return std::nullopt;
  std::optional<SavedBlock> saved = read_here(block, weights);
  const at::Tensor found = at::full({1}, saved ? 1.0 : 0.0);
  team_->add({found});
  const auto ranks = static_cast<int64_t>(found.item<double>());
  if (ranks == team_->size()) return saved;
  if (ranks > 0) folder_->goes_on = false;  // one alone could not read it
  return std::nullopt;
}

std::optional<SavedBlock> Checkpoint::read_here(size_t block, const std::vector<ExpectedWeight>& weights) {
  if (!folder_->goes_on || !fs::exists(folder_->file(name_of(block)))) return std::nullopt;
  try {
    return read_block(folder_->file(name_of(block)), weights);
  } catch (const Error& error) {  // boundary: the block is trained again
    log_line(fmt::format("{}; trained again from this block on", error.what()));
    folder_->goes_on = false;
    return std::nullopt;
  }
}

void Checkpoint::write(size_t block, const SavedBlock& saved) {
  if (!folder_) return;
  folder_->goes_on = false;  // later ones are as good, but of another run's making: they are written over
  if (team_->leads())
    folder_->put(name_of(block), [&](const std::string& path) { write_block(path, saved); });
  team_->wait();
}

std::optional<SavedStage> Checkpoint::read_stage(const SavedStage& like) {
  if (!folder_ || !folder_->goes_on || !fs::exists(folder_->file(kStage))) return std::nullopt;
  try {
    return adascale::read_stage(folder_->file(kStage), like);
  } catch (const Error& error) {  // boundary: the stage begins anew
    log_line(fmt::format("{}; the last stage begins anew", error.what()));
    return std::nullopt;
  }
}

void Checkpoint::write_stage(const SavedStage& stage) {
  if (!folder_ || !folder_->keeps_stage) return;
  try {
    folder_->put(kStage, [&](const std::string& path) { adascale::write_stage(path, stage); });
  } catch (const Error& error) {  // boundary: only an interrupted run would miss it
    log_line(fmt::format("{}; the last stage is not kept from here on", error.what()));
    folder_->keeps_stage = false;
  }
}

std::string Checkpoint::how_to_go_on() const {
  const int64_t finished = folder_ ? finished_in(folder_->path, /*resume=*/true) : 0;
  return finished == 0 ? ""
                       : fmt::format("{} in {}: {} and the same options go on behind them",
                                     describe_finished(finished), folder_->path, option("resume", true));
}

SavedBlock Checkpoint::written(size_t block, const std::vector<ExpectedWeight>& weights) const {
  return read_block(folder_->file(name_of(block)), weights);
}

bool keeps_blocks(const AdaScaleOptions& options) {
  return !options.checkpoint_dir.empty() && options.checkpoint_dir != "none";
}

void check_resumes(const TrainingPlan& plan, const std::vector<const QuantizationSimModel*>& sims) {
  const std::string& folder = plan.options.checkpoint_dir;
  if (finished_in(folder, /*resume=*/true) > 0)
    check_same(folder, read_run(folder + "/" + kRun), fingerprint_of(plan, sims, WeightsIn::kNothing));
}

int64_t count_whole(const std::string& folder) {
  return fs::exists(folder + "/" + kRun) ? whole_in(folder) : 0;
}

int64_t count_finished(const std::string& folder, bool resume) {
  ADA_CHECK(!is_in_use(folder), "{}: another run works in this folder; wait for it, or give another {}",
            folder, option("checkpoint_dir"));
  return finished_in(folder, resume);
}

void check_checkpoint_folder(const std::string& folder) {
  const std::string cure =
      fmt::format("give another {}, or {}", option("checkpoint_dir"), option("checkpoint_dir", "none"));
  try {
    const StagedFiles probe(folder, StagedFiles::Place::kEachFile);
  } catch (const Error& error) {  // boundary: adds the cure
    fail("{}; {}", error.what(), cure);
  }
  const std::vector<std::string> names = names_in(folder);
  const bool has_run = std::find(names.begin(), names.end(), kRun) != names.end();
  for (const std::string& name : names) {
    ADA_CHECK(is_ours(name), "{}: holds {}, which is no file of a checkpoint; {}", folder, name, cure);
    ADA_CHECK(has_run || !is_block(name), "{}: holds {}, but no {}; remove the folder, or {}", folder, name,
              kRun, cure);
  }
  if (has_run) read_run(folder + "/" + kRun);
}

void remove_checkpoint(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(folder + "/" + kRun, ignored) || is_in_use(folder)) return;
  for (const std::string& name : names_in(folder))
    if (is_ours(name) && name != kRun) fs::remove(folder + "/" + name, ignored);
  fs::remove(folder + "/" + kRun, ignored);  // last: what is left without it is nobody's
  fs::remove(folder, ignored);               // only when empty
}

}  // namespace adascale
