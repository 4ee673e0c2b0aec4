#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "adascale/io/pt2.h"

namespace adascale::testing {

/// The .pt2 that placement_models.py writes under that name, made when missing or older than the script.
/// Tests run as parallel processes: each makes its own, and the last rename wins.
inline std::filesystem::path placement_model_file(const std::string& name) {
  namespace fs = std::filesystem;
  const fs::path script = fs::path(ADASCALE_TEST_DATA) / "sim" / "placement_models.py";
  const fs::path folder = fs::path(ADASCALE_TEST_SCRATCH) / "placement_models",
                 file = folder / (name + ".pt2");
  const fs::path made = folder / "seed.pt2";
  if (fs::exists(made) && fs::last_write_time(made) > fs::last_write_time(script)) return file;
  const fs::path own = folder.string() + "." + std::to_string(getpid());
  fs::create_directories(own);
  fs::create_directories(folder);
  const std::string command =
      std::string("'") + ADASCALE_TEST_PYTHON + "' '" + script.string() + "' '" + own.string() + "'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("placement_models.py failed");
  for (const auto& model : fs::directory_iterator(own))
    if (model.path().filename() != "seed.pt2") fs::rename(model, folder / model.path().filename());
  fs::rename(own / "seed.pt2", made);  // last: it marks the whole folder as complete
  fs::remove_all(own);
  return file;
}

inline Program placement_model(const std::string& name) {
  return load_program(placement_model_file(name));
}

}  // namespace adascale::testing
