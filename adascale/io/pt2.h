#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// Reads a program saved by `torch.export.save`. Weights are raw little-endian records; nothing is ever
/// unpickled. Errors name the file and what is wrong: missing, truncated, not a .pt2, schema version, pickled
/// payload, training mode (a dropout or batch norm exported with train=True), unknown operator, NaN or Inf
/// weights are the sim's to find.
Program load_program(const std::string& path);

/// The same from the schema's JSON (an ExportedProgram) and tensors given by reference: Python's capture.
/// `state` holds every parameter, buffer and constant that the signature names.
Program parse_program(const std::string& json, std::unordered_map<std::string, at::Tensor> state);

/// A node to write after a value's producer: `value -> op(value, scalar arguments...)`, whose result replaces
/// the value for every later reader and as an output of the program.
struct InsertedNode {
  ValueId value = kNone;
  std::string target;  ///< e.g. "torch.ops.aten.fake_quantize_per_tensor_affine.default"
  std::vector<std::pair<std::string, c10::IValue>> arguments;  ///< after the tensor: int64 or double literals
};

/// Writes `program` to `path` with other tensors (by name; a name that is not given takes what is given for a
/// weight tied to it, else the program's own) and inserted nodes, several on one value applied in order, so
/// that `torch.export.load` and `load_program` read it. Writes exactly `path`; staging is the caller's.
void save_program(const Program& program, const std::string& path,
                  const std::unordered_map<std::string, at::Tensor>& state,
                  const std::vector<InsertedNode>& inserted);

/// The schema's JSON of `program` with inserted nodes, as `save_program` writes it and torch.export reads it.
std::string program_json(const Program& program, const std::vector<InsertedNode>& inserted);

}  // namespace adascale
