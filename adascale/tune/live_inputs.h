#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "adascale/io/digest.h"
#include "adascale/sim/parts.h"
#include "adascale/tune/adascale.h"

namespace adascale {

/// Hears of the parts' calls while the FP model runs on one batch, and finds where their inputs come from.
class LiveFlow {
 public:
  /// The first call of a part, with its flat inputs. Later calls do not count.
  void enter(size_t part, const Inputs& inputs);
  /// Its end, with its flat outputs.
  void leave(size_t part, const Outputs& outputs);

  /// A flat input: the input or output at that position of the part before, both in one row, or a
  /// constant (position kNone): a number or flag, the same in every call.
  struct Source {
    int32_t position;
    c10::IValue constant;
  };
  struct Link {
    size_t before;
    std::vector<Source> sources;
  };
  struct Reached {
    Inputs sizes;              ///< the inputs, tensors without values (meta)
    std::optional<Link> link;  ///< none if one is from elsewhere, or was written to since
  };
  const std::map<size_t, Reached>& reached() const { return reached_; }
  /// Of the parts' inputs.
  std::string digest() const { return digest_.hex(); }
  /// Lets go of the tensors seen.
  void finish() { last_.reset(); }

 private:
  /// The part called last, with the tensors that it read and made.
  struct Last {
    size_t part;
    bool is_done = false;
    std::vector<c10::IValue> values = {};
    std::map<std::pair<const void*, int64_t>, int32_t> positions = {};  ///< by tensor and version

    void add(const std::vector<c10::IValue>& more);
  };

  std::optional<Link> link_to_last(const Inputs& inputs) const;

  std::map<size_t, Reached> reached_;  // by part
  Digest digest_;
  std::optional<Last> last_;
};

/// A model in parts as someone else runs it (Python), on batches that only they have.
struct LiveModel {
  size_t batches = 0;
  /// Runs the FP model on a batch and tells of the parts' calls.
  std::function<void(size_t batch, LiveFlow&)> look;
  /// The flat inputs with which the FP model (or the quantized one) calls a part for a batch; nothing
  /// where it does not.
  std::function<std::optional<Inputs>(bool quantized, size_t part, size_t batch)> run_to;
  /// The flat outputs of a part's module in the FP model.
  std::function<Outputs(size_t part, const Inputs&)> run_module;
};

/// The inputs of a live model's parts, part after part, in both streams; only those of one are kept.
///
/// If a part only reads inputs and outputs of the part before it (in the FP model), both streams
/// continue from there; otherwise the live models run anew up to the part.
class LiveInputs {
 public:
  /// Runs the FP model once on each batch. Keeps a reference to `model`.
  LiveInputs(const PartedModel& model, LiveModel live);

  /// By part: the inputs that reach it in the FP model, tensors without values (meta).
  std::vector<std::vector<Inputs>> sizes() const;
  /// Of what reaches the parts in the FP model: the content of the batches.
  std::string digest() const;
  /// Throws (user) if the live module computes something else than the part's program for a batch.
  /// What the run keeps waits in `store`.
  PartInputs reach(size_t part, ActivationStore& store);

 private:
  struct Pair {
    Inputs fp, quant;
  };

  Pair keep(const Pair& caught, size_t batch, ActivationStore& store) const;
  std::optional<Pair> follow(size_t part, size_t batch) const;
  std::optional<Pair> run_to(size_t part, size_t batch) const;
  Outputs run_float(size_t part, size_t batch, const Inputs& inputs) const;

  const PartedModel& model_;
  LiveModel live_;
  std::vector<LiveFlow> flows_;  // by batch
  size_t at_ = 0;                // the part of which the others are
  std::map<size_t, Pair> inputs_;
  std::map<size_t, Outputs> fp_outputs_;
};

}  // namespace adascale
