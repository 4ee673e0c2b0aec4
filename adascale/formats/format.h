#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/io/staged_files.h"
#include "adascale/sim/quantsim.h"

namespace adascale {

struct ExportRequest;

/// One export format. One file and one row each.
struct ExportFormat {
  std::string name;                ///< "pt2"
  std::string description;         ///< for `adascale list formats`
  std::vector<std::string> files;  ///< "PREFIX.pt2"
  /// Grids that can be requested by name: "gguf:Q4_K".
  std::vector<std::string> targets = {};
  /// Whether it stores activation encodings, so that compute_encodings must come
  /// first where there are any.
  bool holds_activations = false;
  /// Whether it is the model's own folder or file with other weights: for models
  /// with an ExportOptions::source.
  bool needs_source = false;
  /// The grids that it uses instead of those asked for, given one of `targets` or nothing;
  /// empty: it takes any grid.
  std::function<FitGrid(const std::string& target)> fit = {};
  /// Adds an objection for each thing that this format cannot hold; nothing is written
  /// when any format objects.
  std::function<void(const ExportRequest&, Objections&)> check;
  std::function<void(const ExportRequest&, StagedFiles&)> write;
  /// Notes for the user about this model's file before it is written, one per line; empty: none.
  std::function<std::vector<std::string>(const ExportRequest&)> notes = nullptr;
};

/// The origin of a model, for formats that are its own folder or file with other weights.
struct ModelSource {
  std::string path;                          ///< a transformers folder or a .gguf; empty: unknown
  std::map<std::string, std::string> names;  ///< a parameter -> the tensor there that holds only it
};

struct ExportOptions {
  std::string encoding_version = "1.0.0";  ///< one of encoding_versions()
  std::vector<ExportFormat> more_formats;  ///< of this model only, beside export_formats()
  ModelSource source = {};
};

/// The input of a format's writer.
struct ExportRequest {
  const QuantizationSimModel& sim;
  std::string folder;
  std::string prefix;  ///< file names begin with it
  ExportOptions options;
  std::string target = {};  ///< one of the format's, or none
};

/// The versions of AIMET's encodings files that are written and read, oldest first.
const std::vector<std::string>& encoding_versions();

const std::vector<ExportFormat>& export_formats();
/// Row and target of "gguf" or "gguf:Q4_K".
struct ChosenFormat {
  const ExportFormat* format;
  std::string target;
};
/// One of `export_formats()` or of `more`, which must outlive it. Throws (user) listing the
/// known names and targets.
ChosenFormat choose_format(const std::string& name, const std::vector<ExportFormat>& more = {});
/// Only the row.
const ExportFormat& export_format(const std::string& name, const std::vector<ExportFormat>& more = {});

/// The grids that the named formats use together; empty when each takes any grid. Where two need
/// different grids for a layer, it throws (user) naming them, the layer and both grids.
FitGrid fit_grids(const std::vector<std::string>& formats, const std::vector<ExportFormat>& more = {});

/// "PREFIX.pt2" with that prefix.
std::string output_file(std::string pattern, const std::string& prefix);
/// Adds an objection for each file that two of the named formats would write.
void check_files_differ(const std::vector<std::string>& formats, const std::string& prefix,
                        const std::vector<ExportFormat>& more, Objections& objections);

/// Writes the formats into `folder` (made if missing), all or none. Returns the paths.
///
/// All faults that can be known are checked first and reported in one Error: an unknown format or
/// one named twice, a prefix that is no bare file name, activation quantizers without
/// compute_encodings (for formats that hold activations), and content that a format cannot hold.
/// Then: folder not writable; a full disk leaves the folder unchanged.
std::vector<std::string> export_model(const QuantizationSimModel& sim, const std::string& folder,
                                      const std::string& prefix, const std::vector<std::string>& formats,
                                      const ExportOptions& options = {});

}  // namespace adascale
