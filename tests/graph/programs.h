#pragma once
#include <ATen/core/Tensor.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/io/pt2.h"
#include "adascale/io/safetensors.h"
#include "error_text.h"

namespace adascale::testing {

inline const std::vector<std::string>& program_names() {
  static const std::vector<std::string> names = {
      "linear",       "mlp",    "mlp_dynamic", "mlp_strict",  "cnn",           "attention",
      "lstm",         "tied",   "in_place",    "products",    "dict_inputs",   "twice",
      "twice_strict", "shapes", "llama",       "llama_eager", "llama_dynamic", "bert"};
  return names;
}

/// Runs `script folder` unless an earlier run has finished since the script was last changed. Tests are
/// processes of their own, perhaps at the same time: one does the work, the others wait.
inline std::filesystem::path made_by(const std::string& script, const std::string& folder_name) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / folder_name,
                 source = fs::path(ADASCALE_TEST_DATA) / script;
  fs::create_directories(folder);
  const int lock = open((folder.string() + ".lock").c_str(), O_CREAT | O_RDWR, 0600);
  EXPECT_EQ(flock(lock, LOCK_EX), 0);
  const fs::path stamp = folder / "finished";
  if (!fs::exists(stamp) || fs::last_write_time(stamp) < fs::last_write_time(source)) {
    const std::string command = std::string(ADASCALE_TEST_PYTHON) + " " + source.string() + " " +
                                folder.string() + " > " + folder.string() + ".log 2>&1";
    if (std::system(command.c_str()) == 0) std::ofstream(stamp) << "yes\n";
  }
  close(lock);
  EXPECT_TRUE(fs::exists(stamp)) << "see " << folder << ".log";
  return folder;
}

/// Of all programs in a folder, beside which their inputs and outputs are recorded. One process: Python's import of torch
/// takes longer than the programs.
inline bool python_computes_the_same(const std::filesystem::path& folder) {
  const std::string command =
      std::string(ADASCALE_TEST_PYTHON) + " " ADASCALE_TEST_DATA "/io/check_saved.py " + folder.string();
  return std::system(command.c_str()) == 0;
}

inline std::filesystem::path programs_folder() {
  return made_by("graph/make_programs.py", "programs");
}

inline Program load_named(const std::string& name) {
  return load_program(programs_folder() / (name + ".pt2"));
}

using Tensors = std::map<std::string, at::Tensor>;

inline Tensors read_tensors(const std::string& path) {
  Tensors tensors;
  for (const NamedTensor& named : read_safetensors(path)) tensors[named.name] = named.tensor;
  return tensors;
}

/// The tensors that make_programs.py recorded beside the program.
inline Tensors recorded(const std::string& name) {
  return read_tensors(programs_folder() / (name + ".safetensors"));
}

/// The recorded inputs, flat, with the constants that the program fixes.
inline std::vector<c10::IValue> recorded_inputs(const Program& program, const Tensors& record) {
  std::vector<c10::IValue> inputs;
  for (const ProgramInput* input : program.user_inputs()) {
    const std::string key = "input." + std::to_string(inputs.size());
    inputs.push_back(input->value == kNone ? input->constant : c10::IValue(record.at(key).clone()));
  }
  return inputs;
}

inline NodeId find_node(const Program& program, const std::string& name) {
  for (NodeId id = 0; id < static_cast<NodeId>(program.nodes.size()); ++id) {
    if (program.nodes[id].name == name) return id;
  }
  ADD_FAILURE() << "no node " << name;
  return kNone;
}

}  // namespace adascale::testing
