#pragma once
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/io/mapped_file.h"

namespace adascale {

/// Reads a program saved by `torch.export.save`. Weights are raw little-endian records; nothing is
/// ever unpickled. Errors name the file and the fault: missing, truncated, not a .pt2, schema
/// version, pickled payload, training mode (a dropout or batch norm exported with train=True),
/// unknown operator. NaN or Inf in weights is found by the sim.
Program load_program(const std::string& path, Mapping mapping = Mapping::kPrivate);

/// The same from the schema's JSON (an ExportedProgram) and tensors given by reference; Python's
/// capture uses it. `state` holds every parameter, buffer and constant that the signature names.
Program parse_program(const std::string& json, std::unordered_map<std::string, at::Tensor> state);

/// A node to write after a value's producer: `value -> op(value, scalar arguments...)`, whose result replaces
/// the value for every later reader and as an output of the program.
struct InsertedNode {
  ValueId value = kNone;
  std::string target;  ///< e.g. "torch.ops.aten.fake_quantize_per_tensor_affine.default"
  std::vector<std::pair<std::string, c10::IValue>> arguments;  ///< after the tensor: int64 or double literals
};

/// Tensors by name that take the place of a program's own, made when they are written: one at a time is in memory.
using NewTensors = std::unordered_map<std::string, std::function<at::Tensor()>>;

/// The tensor that save_program writes under a name: the one given for it or for a weight tied to it, else the
/// program's own.
at::Tensor tensor_to_save(const Program& program, const NewTensors& state, const std::string& name);

/// Writes `program` to `path` with replaced tensors and inserted nodes, so that `torch.export.load`
/// and `load_program` read it. Tensors are given by name; a name without one takes that of a weight
/// tied to it, else the program's own. Several nodes on one value apply in order. Writes exactly
/// `path`; staging is the caller's task. `metadata` becomes "adascale.json", which `torch.export.load` gives
/// as one of its `extra_files`.
void save_program(const Program& program, const std::string& path, const NewTensors& state,
                  const std::vector<InsertedNode>& inserted,
                  const std::map<std::string, std::string>& metadata = {});

/// The schema's JSON of `program` with inserted nodes, as in `save_program`'s file.
std::string program_json(const Program& program, const std::vector<InsertedNode>& inserted);

}  // namespace adascale
