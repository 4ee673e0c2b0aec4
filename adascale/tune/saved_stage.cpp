#include "adascale/tune/saved_stage.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>

#include "adascale/core/error.h"
#include "adascale/tune/whole_file.h"

namespace adascale {
namespace {

constexpr const char *kIteration = "iteration", *kStart = "start";

std::string name_of(size_t tensor) {
  return "tensor." + std::to_string(tensor);
}

/// Throws unless the file has it, of that dtype and these sizes, and finite.
at::Tensor tensor_like(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
                       const at::Tensor& like, const std::string& path) {
  const auto found = tensors.find(name);
  const bool is_like = found != tensors.end() && found->second.sizes() == like.sizes() &&
                       found->second.scalar_type() == like.scalar_type() &&
                       at::isfinite(found->second).all().item<bool>();
  ADA_CHECK(is_like, "{}: has no {} as this run has it", path, name);
  return found->second;
}

}  // namespace

void write_stage(const std::string& path, const SavedStage& stage) {
  std::vector<NamedTensor> tensors = {{kStart, bytes_of(stage.start)},
                                      {kIteration, at::full({}, stage.iteration, at::kLong)}};
  for (size_t i = 0; i < stage.tensors.size(); ++i)
    tensors.push_back({name_of(i), stage.tensors[i].detach().cpu().contiguous()});
  write_whole(path, std::move(tensors));
}

SavedStage read_stage(const std::string& path, const SavedStage& like) {
  const std::map<std::string, at::Tensor> tensors = read_whole(path);
  const at::Tensor start = tensor_like(tensors, kStart, bytes_of(like.start), path);
  ADA_CHECK(text_of(start) == like.start, "{}: its last stage started from other weights or options", path);
  const at::Tensor iteration = tensor_like(tensors, kIteration, at::full({}, 0, at::kLong), path);
  SavedStage stage{.iteration = iteration.item<int64_t>(), .start = like.start, .tensors = {}};
  ADA_CHECK(stage.iteration >= 0 && stage.iteration <= like.iteration,
            "{}: has {} iterations behind it, expected at most {}", path, stage.iteration, like.iteration);
  for (size_t i = 0; i < like.tensors.size(); ++i)
    stage.tensors.push_back(tensor_like(tensors, name_of(i), like.tensors[i], path));
  return stage;
}

}  // namespace adascale
