// Writes the seeds of the target `checkpoint`: make_checkpoints FOLDER.
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>

#include <limits>

#include "fuzz/checkpoint_weights.h"

using namespace adascale;

namespace {

SavedBlock block() {
  SavedBlock block{.trained = true, .ran_in_training = true};
  for (const auto& [name, grid, sizes, dtype] : fuzz::expected_weights()) {
    const at::Tensor w = at::linspace(-1, 1, c10::multiply_integers(sizes)).reshape(sizes).to(dtype);
    const at::Tensor most = at::full(scale_sizes(sizes, grid), 1.0);
    block.encodings.push_back(encode_rtn(name, w, grid, {-most, most}));
    block.report.layers.push_back({.name = name, .grid = to_string(grid), .sqnr_rtn_db = 20, .sqnr_db = 21});
  }
  block.report.name = "encoder.layer.0";
  block.report.loss_before = std::numeric_limits<double>::infinity();
  block.report.held_out_before = 0.5;
  block.report.iterations = 12;
  return block;
}

}  // namespace

int main(int, char** arguments) {
  const std::string folder = arguments[1];
  SavedBlock saved = block();
  write_block(folder + "/trained.safetensors", saved);
  saved.trained = false;
  saved.report.layers.clear();
  write_block(folder + "/rounded.safetensors", saved);
  write_stage(folder + "/stage.safetensors", fuzz::expected_stage());
}
