#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// A module of a live model at its first call.
struct RecordedCall {
  std::string path;  ///< "model.layers.0"
  std::string kind;  ///< its class
  int64_t layers;    ///< the number of layers in it, those of modules inside included
};

/// The blocks of a model that runs live and has no program of the whole: their numbers in `calls`,
/// which are in the order of the first calls.
///
/// Without `patterns` they are the outermost runs: two or more modules of one class with two layers
/// each, children of one parent, called in a row. If the members of a run hold a run as long or
/// longer, that one is taken instead, as in the stages of a hierarchical model. The block rule
/// (find_blocks) follows the data between calls, which are not known here.
///
/// `patterns`: globs over paths; of nested modules the outermost. Throws (user) for one that matches none.
std::vector<size_t> pick_modules(const std::vector<RecordedCall>& calls,
                                 const std::vector<std::string>& patterns);

}  // namespace adascale
