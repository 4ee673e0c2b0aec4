#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adascale/tune/fingerprint.h"
#include "adascale/tune/saved_block.h"
#include "adascale/tune/saved_stage.h"
#include "adascale/tune/team.h"

namespace adascale {

/// The finished blocks of a training in a folder, and its last stage, so that a run that was killed goes on behind them.
///
/// A block is a file of its own, written aside, synced and renamed: at any moment the folder holds whole
/// blocks. `run.json` says what they were made from. Of a team the first process writes, and all read: they must see
/// the same folder.
class Checkpoint {
 public:
  /// Keeps nothing.
  Checkpoint();
  /// Makes the folder, or goes on with what is in it. Throws (user): another run works there; it holds
  /// blocks and `resume` is off; it holds those of another model, data, option or version, with all fields that
  /// differ; files that are not ours.
  Checkpoint(const std::string& folder, bool resume, const Fingerprint& fingerprint, Team& team);
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;

  /// The block of that number, if the interrupted run finished it. Where a file cannot be read or is damaged, it and
  /// all after it count as not there, and the log says so. So it is for all of a team where it is for one.
  std::optional<SavedBlock> read(size_t block, const std::vector<ExpectedWeight>& weights);
  /// From the first call on the interrupted run's later blocks are not read.
  void write(size_t block, const SavedBlock& saved);
  /// The last stage as the interrupted run left it: one like this one. Where it cannot be read or is of another, it
  /// counts as not there, and the log says so.
  std::optional<SavedStage> read_stage(const SavedStage& like);
  /// Where it cannot be written, the log says so and the stage is not kept: behind its blocks a run goes on all the same.
  void write_stage(const SavedStage& stage);
  bool is_kept() const { return folder_ != nullptr; }
  /// "2 finished blocks in DIR: --resume and the same options go on behind them"; empty where none is there.
  std::string how_to_go_on() const;
  /// What was written, its codes in the mapped file. Throws (user) where it cannot be read.
  SavedBlock written(size_t block, const std::vector<ExpectedWeight>& weights) const;

 private:
  struct Folder;
  std::optional<SavedBlock> read_here(size_t block, const std::vector<ExpectedWeight>& weights);

  std::unique_ptr<Folder> folder_;
  Team* team_ = nullptr;
};

/// Whether the options ask for a checkpoint.
bool keeps_blocks(const AdaScaleOptions& options);

/// Throws (user) unless the folder can be made and written to, and holds nothing but a checkpoint's files.
void check_checkpoint_folder(const std::string& folder);

/// Throws (user) where the folder of `plan` holds blocks of another run, as far as that is known before the numbers of
/// weights are read.
void check_resumes(const TrainingPlan& plan, const std::vector<const QuantizationSimModel*>& sims);

/// The number of finished blocks there. Throws (user) if there are any and `resume` is off: hours of work would
/// be lost.
int64_t count_finished(const std::string& folder, bool resume);

/// The number of blocks behind which a run would go on: whole, from the first without a gap. Reads them.
int64_t count_whole(const std::string& folder);

/// Removes the files of a checkpoint, and the folder if nothing else is in it. No checkpoint: nothing happens.
void remove_checkpoint(const std::string& folder);

}  // namespace adascale
