#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "adascale/core/passes.h"

namespace adascale {

/// Names of a block's passes.
inline constexpr char kLiveOutputs[] = "live outputs";      ///< of a part's module, for the next part
inline constexpr char kBetweenBlocks[] = "between blocks";  ///< both models, from the last block to this one
inline constexpr char kFloatOutputs[] = "full-precision outputs";  ///< the targets
inline constexpr char kStartRanges[] = "start ranges";             ///< searched for each weight
inline constexpr char kQuantizedOutputs[] = "quantized outputs";   ///< with weights that are compared
inline constexpr char kTraining[] = "training";
inline constexpr char kLastStage[] = "last stage";  ///< the scales on the program's output, after all blocks

/// Shows the passes of a run block by block, and how long the rest of all blocks will take: for each kind of
/// pass, the seconds of a step measured so far times the steps to come. A kind's steps in a block are those of the
/// finished blocks' mean; before one is finished, those that are expected. The last line of a block has its
/// iterations and loss.
class RunProgress {
 public:
  using Steps = std::map<std::string, double>;  ///< by kind of pass

  /// `now`: seconds of a clock; none: of the machine's.
  explicit RunProgress(ProgressSink sink, std::function<double()> now = {});

  /// `to_come`: how many of the later blocks will be trained.
  void begin(size_t block, size_t blocks, const std::string& name, int64_t to_come);
  void expect(Steps steps_of_a_block) { expected_ = std::move(steps_of_a_block); }
  void see(const PassEvent& pass);
  /// `is_new`: false for a block that an interrupted run had finished, that no data reaches or that has nothing
  /// to train: it has fewer passes than those to come.
  void end(bool is_new);

 private:
  struct Cost {
    double seconds = 0, steps = 0;
  };

  void account(const PassEvent& pass);
  double steps_left_here(const std::string& kind, double expected) const;
  std::optional<double> seconds_left() const;
  Steps steps_of_a_block() const;
  ProgressEvent event() const;

  ProgressSink sink_;
  std::function<double()> now_;
  double last_;             // the time of the last event
  int64_t to_come_ = 0;     // blocks to train after this one
  size_t new_blocks_ = 0;   // that were finished
  bool is_inside_ = false;  // a block
  std::string stage_;
  std::optional<double> loss_;
  Steps expected_;
  Steps here_;      // in the present block
  Steps finished_;  // in the new blocks that were finished
  std::map<std::string, Cost> costs_;
  std::string kind_;                              // of the present pass
  int64_t step_ = 0, total_ = 0;                  // of it
  int64_t trained_steps_ = 0, all_to_train_ = 0;  // of the last training in the block
};

}  // namespace adascale
