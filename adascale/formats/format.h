#pragma once
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/io/safetensors.h"
#include "adascale/io/staged_files.h"
#include "adascale/sim/parts.h"
#include "adascale/sim/quantsim.h"

namespace adascale {

struct ExportRequest;

/// A format's answer for one model: what it will do, and what keeps it from doing so. One that objects
/// to nothing writes and reads back.
struct PreparedFormat {
  std::vector<std::string> objections = {};  ///< what it cannot hold of this model
  std::vector<std::string> notes = {};       ///< for the user, about the files, one per line
  std::vector<std::string> files = {};       ///< their names in the folder
  /// Writes them, once the model is decided: another request for the same model and place. What
  /// preparing found may be kept in it.
  std::function<void(const ExportRequest&, StagedFiles&)> write = {};
  /// Reads each written file again, before any gets its name; gets the request that `write` got. Throws
  /// (user) where a file does not hold the model (formats/read_back.h).
  std::function<void(const ExportRequest&, const StagedFiles&)> read_back = {};
};

/// How a format's files hold the quantized weights.
enum class WeightsAs {
  kValues,  ///< numbers on the grid in the model's dtype: as many bytes as before
  kCodes,   ///< packed codes and scales
  kNothing,
};

/// One export format. One file and one row each.
struct ExportFormat {
  std::string name;                ///< "pt2"
  std::string description;         ///< for `adascale list formats`
  std::vector<std::string> files;  ///< likewise: "PREFIX.pt2"
  /// What a reader types in the folder to load the files: "llama-cli -m PREFIX.gguf".
  std::string how_to_load;
  /// Grids that can be requested by name: "gguf:Q4_K".
  std::vector<std::string> targets = {};
  WeightsAs weights_as = WeightsAs::kValues;
  /// Bits that its files store as they are, in one layer or another; empty: any. Others it may refuse, or store wider.
  std::vector<int> widths = {};
  /// Whether its files are a model's folder, as people publish them; a run adds a model card.
  bool is_folder = false;
  /// Whether it stores activation encodings, so that compute_encodings must come
  /// first where there are any.
  bool holds_activations = false;
  /// Whether it needs no program of the whole, so that it takes models in parts: then it looks at all
  /// simulations of the request's model.
  bool takes_parts = false;
  /// Whether it, and what reads it, takes negative scales (Grid::signed_scale).
  bool holds_signed_scales = false;
  /// The grids that it uses instead of those asked for, given one of `targets` or nothing;
  /// empty: it takes any grid.
  std::function<FitGrid(const std::string& target)> fit = {};
  /// Looks at a model with its quantizers, before any training. Writes nothing.
  std::function<PreparedFormat(const ExportRequest&)> prepare;
};

/// What a model card takes over from the model that it tells of.
struct CardSource {
  std::string front_matter = "tags:\n- adascale\n";  ///< YAML, without the lines "---" around it
  std::string model;    ///< "HuggingFaceTB/SmolLM2-135M", on the Hugging Face hub; empty: unknown
  std::string license;  ///< "apache-2.0"; empty: unknown
  std::vector<std::string> license_files;  ///< names of the original's, which formats of folders copy
};

/// The origin of a model, for formats that are its own folder or file with other weights.
struct ModelSource {
  std::string path;                          ///< a transformers folder or a .gguf; empty: unknown
  std::map<std::string, std::string> names;  ///< a parameter -> the tensor there that holds only it
  /// `prepare` of the format "hf": how the library that opened the model saves it. Empty: it cannot.
  std::function<PreparedFormat(const ExportRequest&)> save = {};
  CardSource card = {};
};

struct ExportOptions {
  std::string encoding_version = "1.0.0";  ///< one of encoding_versions()
  ModelSource source = {};
  std::string plan = {};  ///< hash of the run's decisions, for the files' metadata; empty: none
  /// Names of the files that write_files gets as texts; a format that copies a folder leaves them out.
  std::vector<std::string> texts = {};
};

/// A model to write: one with a program of the whole, which is one simulation, or one in parts.
struct ModelToWrite {
  ModelToWrite(const QuantizationSimModel& sim) : sims{&sim} {}  // NOLINT(google-explicit-constructor)
  /// `state`: the live model's parameters and buffers under all their names, folded weights in place.
  ModelToWrite(const PartedModel& model, std::function<std::vector<NamedTensor>()> state);

  std::vector<const QuantizationSimModel*> sims;  ///< by part
  const PartedModel* parts = nullptr;             ///< none: a whole model
  std::function<std::vector<NamedTensor>()> state = {};
};

/// The input of a format.
struct ExportRequest {
  const ModelToWrite& model;
  const QuantizationSimModel& sim;  ///< of a whole model
  std::string folder;
  std::string prefix;  ///< file names begin with it
  ExportOptions options;
  std::string target = {};  ///< one of the format's, or none
};

/// The versions of AIMET's encodings files that are written and read, oldest first.
const std::vector<std::string>& encoding_versions();

/// The one table of formats. C++'s rows come first; those of a package for another language follow.
const std::deque<ExportFormat>& export_formats();
/// Adds a row, for the rest of the process; it takes the place of one with its name.
void add_export_format(ExportFormat format);

/// Row and target of "gguf" or "gguf:Q4_K".
struct ChosenFormat {
  const ExportFormat* format;
  std::string target;
};
/// The rows of these names, each row once. Objections: no name, one that is unknown or has no such target,
/// a row named twice.
std::vector<ChosenFormat> choose_formats(const std::vector<std::string>& names, Objections& objections);

/// Objects to those that need a program of the whole, for a model in parts.
void check_take_parts(const std::vector<ChosenFormat>& formats, Objections& objections);

/// The grids that the formats use together; empty when each takes any grid. Where two need
/// different grids for a layer, it throws (user) naming them, the layer and both grids.
FitGrid fit_grids(const std::vector<ChosenFormat>& formats);

/// "PREFIX.pt2" with that prefix.
std::string output_file(std::string pattern, const std::string& prefix);

/// The files that will be written: each format's answer, for one model and place.
struct ExportPlan {
  std::string folder, prefix;
  ExportOptions options;
  std::vector<ChosenFormat> formats;
  std::vector<PreparedFormat> prepared;  ///< by format
  std::vector<std::string> paths() const;
  std::vector<std::string> notes() const;
};

/// Asks the formats about the model. Adds an objection for a prefix that is no bare file name, a file
/// that two formats would write, for each thing that a format cannot hold, and for formats that need a
/// program of the whole where there is none.
ExportPlan plan_export(const ModelToWrite& model, const std::vector<ChosenFormat>& formats,
                       const std::string& folder, const std::string& prefix, const ExportOptions& options,
                       Objections& objections);

/// Writes the planned files of the model, as it is now, into the folder (made if missing), all or none, and
/// `texts` beside them: names with contents. Returns the paths.
///
/// Checked first, in one Error: activation quantizers without compute_encodings (for formats that hold
/// activations), scales that are NaN or infinite, weights edited since the sim was made. Then: folder not
/// writable; a full disk, or a file that does not give back the model, leaves the folder unchanged.
std::vector<std::string> write_files(const ModelToWrite& model, const ExportPlan& plan,
                                     const std::map<std::string, std::string>& texts = {});

/// choose_formats, plan_export and write_files in one, with all objections in one Error.
std::vector<std::string> export_model(const ModelToWrite& model, const std::string& folder,
                                      const std::string& prefix, const std::vector<std::string>& formats,
                                      const ExportOptions& options = {});

}  // namespace adascale
