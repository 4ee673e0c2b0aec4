#include "adascale/run/padding.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "adascale/core/seed.h"
#include "adascale/sim/token_logits.h"

namespace adascale {
namespace {

/// The places of all inputs that take data, if each is [samples, tokens] of one shape; else none.
std::vector<size_t> inputs_of_tokens(const Program& program, const Batches& batches, at::IntArrayRef shape) {
  std::vector<size_t> places;
  const auto inputs = program.user_inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]->value == kNone) continue;
    for (const Inputs& batch : batches.inputs) {
      if (!batch[i].isTensor()) return {};
      const at::Tensor& tensor = batch[i].toTensor();
      if (tensor.dim() != 2 || tensor.size(1) != shape[1]) return {};
    }
    places.push_back(i);
  }
  return places;
}

/// By sample: the position behind its last token that counts.
std::vector<int64_t> lengths_of(const at::Tensor& mask) {
  const at::Tensor position = mask.ne(0).to(at::kLong) * at::arange(1, mask.size(1) + 1);
  const at::Tensor longest = position.amax(1).contiguous();
  return {longest.const_data_ptr<int64_t>(), longest.const_data_ptr<int64_t>() + longest.numel()};
}

/// The least length from `wanted` on that the program takes.
int64_t length_taken(const Program& program, const std::vector<size_t>& places, int64_t wanted,
                     int64_t whole) {
  const auto inputs = program.user_inputs();
  const auto takes = [&](int64_t length) {
    return std::all_of(places.begin(), places.end(),
                       [&](size_t i) { return program.values[inputs[i]->value].sizes[1].takes(length); });
  };
  while (wanted < whole && !takes(wanted)) ++wanted;
  return wanted;
}

/// That input of all samples.
at::Tensor joined(const Batches& batches, size_t place) {
  std::vector<at::Tensor> tensors;
  for (const Inputs& batch : batches.inputs) tensors.push_back(batch[place].toTensor());
  return at::cat(tensors);
}

/// 0, 1, .. in an order drawn from the seed.
std::vector<int64_t> drawn_order(uint64_t seed, size_t count) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](int64_t i) { return derive_seed(seed, static_cast<uint64_t>(i)); };
  std::ranges::sort(order, {}, key);
  return order;
}

}  // namespace

std::string cut_padding(const Program& program, uint64_t seed, Batches& batches) {
  const std::optional<size_t> mask = padding_input(program);
  if (!mask || batches.inputs.empty() || !batches.inputs.front()[*mask].isTensor()) return "";
  const at::IntArrayRef shape = batches.inputs.front()[*mask].toTensor().sizes();
  const std::vector<size_t> places = inputs_of_tokens(program, batches, shape);
  if (places.empty()) return "";

  const int64_t whole = shape[1];
  const std::vector<int64_t> lengths = lengths_of(joined(batches, *mask));
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int64_t sample) { return lengths[sample]; });

  std::vector<int64_t> cuts, starts = {0};
  for (const Inputs& batch : batches.inputs) {
    starts.push_back(starts.back() + samples_in(batch));
    cuts.push_back(
        length_taken(program, places, std::max<int64_t>(1, lengths[order[starts.back() - 1]]), whole));
  }
  const auto [least, most] = std::ranges::minmax(cuts);
  if (least == whole) return "";

  std::vector<at::Tensor> sorted;
  for (const size_t place : places)
    sorted.push_back(joined(batches, place).index_select(0, at::tensor(order)));
  std::vector<Inputs> cut;
  for (const int64_t from : drawn_order(seed, batches.inputs.size())) {
    cut.push_back(batches.inputs[from]);
    for (size_t i = 0; i < places.size(); ++i)
      cut.back()[places[i]] =
          sorted[i].slice(0, starts[from], starts[from + 1]).slice(1, 0, cuts[from]).contiguous();
  }
  batches.inputs = std::move(cut);
  return fmt::format("texts of like length share a batch, padded to {} to {} tokens", least, most);
}

}  // namespace adascale
