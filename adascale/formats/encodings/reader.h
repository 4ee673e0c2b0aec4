#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/formats/encodings/record.h"
#include "adascale/sim/json_reader.h"

namespace adascale {

/// One tensor's encoding in a file: its numbers are checked, but not yet against a model.
struct FileEntry {
  std::string where;  ///< "model.encodings: param_encodings.fc1.weight": the beginning of messages
  std::string name;   ///< of a tensor, or of the module that `port` and `index` belong to
  std::string port;   ///< "input" or "output" by module name; else empty
  int64_t index = 0;
  int bits = 0;
  std::optional<bool> symmetric;  ///< missing in 2.x
  bool is_signed = false;         ///< 2.x: whether its codes are
  std::vector<float> scales;      ///< positive; one per channel where there are block_scales
  std::vector<int64_t> lowest;    ///< of each scale, or one for all: x = scale * (unsigned code + lowest)
  /// The nesting in 2.x of the scales, or of the block_scales; else their number.
  std::vector<int64_t> shape;
  std::string type;                   ///< 1.0.0: "PER_CHANNEL" and so on
  std::optional<int64_t> axis;        ///< 2.x
  bool says_axis = false;             ///< 2.x: no axis means per tensor
  int64_t block_size = 0;             ///< 0: not given
  std::vector<int64_t> block_scales;  ///< LPBQ: integers from 1
  int block_scale_bits = 0;           ///< LPBQ in 1.0.0; 0: not given
};

/// The entries of a file of any version and name form. Adds each faulty entry to `objections`;
/// throws Error (user) when the text is not JSON or not an encodings file. int32 entries (biases)
/// are checked and left out: they are not simulated.
std::vector<FileEntry> read_encodings(const std::string& text, const std::string& origin,
                                      Objections& objections);

/// The entries of a parsed file.
std::vector<FileEntry> entries_of(const OrderedJson& document, const std::string& origin,
                                  Objections& objections);

using VisitEntry = std::function<void(const FileEntry&)>;
/// The entries of a file of ours, biases too, while it is read: those of a model in groups of 64 are many times its
/// size. Returns its version. Throws Error (user) at the first faulty entry.
std::string visit_encodings(const std::string& path, const VisitEntry& visit);

// Entries of one layout; they throw Error (user).

FileEntry read_legacy_entries(const std::string& name, const JsonReader& reader);
FileEntry read_entry_1_0_0(const JsonReader& reader);
FileEntry read_entry_2(const JsonReader& reader);

// Shared by them.

/// 2 to 16, or 32.
int read_bits(const JsonReader& reader);
/// A positive number that fits fp32.
float read_scale(const JsonReader& reader);
/// An integer, possibly written with a point, that could be an offset: -2^31 to 2^31.
int64_t read_offset(const JsonReader& reader);
/// Throws unless the lowest codes are those of `bits` with zero on the grid, and
/// the grid's ends fit fp32.
void check_ends(const FileEntry& entry);

}  // namespace adascale
