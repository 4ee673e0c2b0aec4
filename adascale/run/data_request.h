#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/core/options.h"

namespace adascale {

inline constexpr int64_t kDefaultBatchSize = 8;

/// How samples are made from data.
struct DataOptions {
  std::optional<int64_t> samples, seq_len, batch_size;
  std::vector<double> data_weights;
  std::string packing = "auto";
};

/// One line per option: flag, Python keyword, help and limits.
template <class Visitor, class Options>
void visit_data_options(Visitor&& visit, Options& options) {
  visit("samples", options.samples,
        "samples taken from the data; without it up to 128 of text, all of anything else",
        OptionRule{.min = 1});
  visit("seq_len", options.seq_len, "tokens in a sample of text; without it 512, or the model's own limit",
        OptionRule{.min = 2});
  visit("packing", options.packing,
        "how text becomes samples: packed, the texts one after another in rows of seq_len tokens; "
        "padded, a text a row; auto, packed for causal language models",
        OptionRule{.choices = {"auto", "packed", "padded"}});
  visit("data_weights", options.data_weights,
        "each data file's share of the samples; without it the files are one text", OptionRule{.min = 0});
  visit("batch_size", options.batch_size,
        "samples in a batch; without it 8, or what the model was exported for", OptionRule{.min = 1});
}

/// The data for which a model is opened; no files: none, or data that the door has in memory.
struct DataRequest {
  std::vector<std::string> files;
  DataOptions options;
  // The run fills in the rest from its other options.
  int64_t seed = 0;  ///< of the choice of samples
  /// For a model that is opened in parts: where it is to run, and globs over its modules instead of the rule.
  std::string device = "auto";
  std::vector<std::string> blocks = {};
  /// "a.txt, b.txt", for messages; "data" without files.
  std::string where() const;
};

/// Objects to files that are missing, and to shares that are not one per file.
void check_data_files(const DataRequest& data, Objections& objections);

/// Tensors by the program's input names, samples along dimension 0.
using Samples = std::map<std::string, at::Tensor>;

}  // namespace adascale
