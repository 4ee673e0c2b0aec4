#include "adascale/run/batches.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/finite.h"

namespace adascale {
namespace {

struct TensorInput {
  std::string name;
  const Value* value;
};

std::vector<TensorInput> tensor_inputs(const Program& program, const std::string& path) {
  std::vector<TensorInput> inputs;
  for (const ProgramInput* input : program.user_inputs()) {
    if (input->value == kNone) continue;  // a constant fixed at capture
    const Value& value = program.values[input->value];
    ADA_CHECK(value.kind == ValueKind::kTensor && !value.sizes.empty(),
              "{}: the model's input '{}' is not a tensor with a batch dimension, "
              "which is all a data file can give",
              path, input->name);
    inputs.push_back({input->name, &value});
  }
  ADA_CHECK(!inputs.empty(), "{}: the model has no input that takes data", path);
  return inputs;
}

std::string describe(const Dim& dim) {
  if (dim.is_fixed()) return std::to_string(dim.size);
  if (dim.max == std::numeric_limits<int64_t>::max()) return fmt::format("{} or more", dim.min);
  return fmt::format("{} to {}", dim.min, dim.max);
}

void check_sizes(const TensorInput& input, const at::Tensor& tensor, Objections& objections) {
  const auto& sizes = input.value->sizes;
  if (tensor.dim() != static_cast<int64_t>(sizes.size()))
    return objections.add("'{}' has {} dimensions, expected {}, samples first", input.name, tensor.dim(),
                          sizes.size());
  for (size_t i = 1; i < sizes.size(); ++i)
    if (!sizes[i].takes(tensor.size(static_cast<int64_t>(i))))
      objections.add("'{}' has size {} along dimension {}, expected {}", input.name,
                     tensor.size(static_cast<int64_t>(i)), i, describe(sizes[i]));
}

void check_tensor(const TensorInput& input, const at::Tensor& tensor, Objections& objections) {
  if (tensor.scalar_type() != input.value->dtype)
    objections.add("'{}' is {}, expected {}", input.name, c10::toString(tensor.scalar_type()),
                   c10::toString(input.value->dtype));
  check_sizes(input, tensor, objections);
  if (tensor.dim() > 0 && tensor.size(0) == 0) objections.add("'{}' has no samples", input.name);
  if (tensor.is_floating_point() && !is_finite(tensor))
    objections.add("'{}' holds NaN or infinity", input.name);
}

void check_names(const std::vector<TensorInput>& inputs, const Samples& samples, Objections& objections) {
  std::vector<std::string> names;
  for (const TensorInput& input : inputs) {
    names.push_back(input.name);
    if (samples.count(input.name) == 0) objections.add("no tensor is named '{}'", input.name);
  }
  for (const auto& [name, tensor] : samples)
    if (std::find(names.begin(), names.end(), name) == names.end())
      objections.add("'{}' is none of the model's inputs ({})", name, fmt::join(names, ", "));
}

void check_counts(const Samples& samples, Objections& objections) {
  std::vector<std::string> counts;
  bool equal = true;
  for (const auto& [name, tensor] : samples) {
    if (tensor.dim() == 0) continue;
    counts.push_back(fmt::format("'{}' {}", name, tensor.size(0)));
    equal = equal && tensor.size(0) == samples.begin()->second.size(0);
  }
  if (!equal) objections.add("sample counts differ: {}", fmt::join(counts, ", "));
}

void check_samples(const std::vector<TensorInput>& inputs, const Samples& samples, const std::string& path) {
  Objections objections;
  check_names(inputs, samples, objections);
  for (const TensorInput& input : inputs)
    if (const auto found = samples.find(input.name); found != samples.end())
      check_tensor(input, found->second, objections);
  check_counts(samples, objections);
  ADA_CHECK(objections.empty(), "{}: {}", path, fmt::join(objections.texts(), "; "));
}

void check_batch_size(const TensorInput& input, int64_t samples, int64_t batch_size,
                      const std::string& path) {
  const Dim& dim = input.value->sizes[0];
  const int64_t first = std::min(batch_size, samples), last = samples % batch_size;
  ADA_CHECK(dim.takes(first),
            "{}: batches of {} samples, but the model takes {} along dimension 0 of '{}'; set {}", path,
            first, describe(dim), input.name, option("batch_size"));
  ADA_CHECK(last == 0 || dim.takes(last),
            "{}: {} samples in batches of {} leave a last batch of {}, "
            "but the model takes {} along dimension 0 of '{}'; "
            "use another {} or number of samples",
            path, samples, batch_size, last, describe(dim), input.name, option("batch_size"));
}

Inputs batch_at(const Program& program, const Samples& samples, int64_t start, int64_t count) {
  Samples batch;
  for (const auto& [name, tensor] : samples) batch[name] = tensor.narrow(0, start, count);
  return bind_inputs(program, batch);
}

bool takes_samples(const Program& program, int64_t count) {
  const auto inputs = program.user_inputs();
  return std::all_of(inputs.begin(), inputs.end(), [&](const ProgramInput* input) {
    if (input->value == kNone) return true;
    const std::vector<Dim>& sizes = program.values[input->value].sizes;
    return !sizes.empty() && sizes[0].takes(count);
  });
}

/// Sizes of several inputs that belong together, among others.
void check_batch(const Program& program, const Inputs& batch, const std::string& path) {
  Objections objections;
  objections.gather([&] { check_inputs(program, batch); });
  ADA_CHECK(objections.empty(), "{}: {}", path, fmt::join(objections.texts(), "; "));
}

}  // namespace

Batches cut_batches(const OpenedModel& model, const DataRequest& data) {
  const Program& program = model.program;
  const std::string where = data.where();
  const std::vector<TensorInput> inputs = tensor_inputs(program, where);
  check_samples(inputs, model.samples, where);

  Batches batches;
  const Dim& dim = inputs[0].value->sizes[0];
  const int64_t given = model.samples.begin()->second.size(0);
  batches.samples = data.options.samples.value_or(given);
  ADA_CHECK(batches.samples <= given, "{}: {} samples, but {} asks for {}", where, given, option("samples"),
            batches.samples);
  batches.batch_size = data.options.batch_size.value_or(dim.is_fixed() ? dim.size : kDefaultBatchSize);
  for (const TensorInput& input : inputs) check_batch_size(input, batches.samples, batches.batch_size, where);
  for (int64_t start = 0; start < batches.samples; start += batches.batch_size) {
    const int64_t count = std::min(batches.batch_size, batches.samples - start);
    batches.inputs.push_back(batch_at(program, model.samples, start, count));
    check_batch(program, batches.inputs.back(), where);
  }
  batches.count = static_cast<int64_t>(batches.inputs.size());
  return batches;
}

int64_t samples_in(const Inputs& inputs) {
  const auto tensor = std::find_if(inputs.begin(), inputs.end(), [](const auto& x) { return x.isTensor(); });
  return tensor == inputs.end() ? 0 : tensor->toTensor().size(0);
}

std::vector<Inputs> cut_batch(const Program& program, const Inputs& batch, int64_t at_most) {
  const int64_t samples = samples_in(batch);
  int64_t step = std::max<int64_t>(1, at_most);
  while (step < samples && (samples % step != 0 || !takes_samples(program, step))) ++step;
  if (step >= samples) return {batch};
  const auto places = program.user_inputs();
  std::vector<Inputs> pieces;
  for (int64_t start = 0; start < samples; start += step) {
    pieces.push_back(batch);
    for (size_t i = 0; i < places.size(); ++i)
      if (places[i]->value != kNone) pieces.back()[i] = batch[i].toTensor().narrow(0, start, step);
  }
  return pieces;
}

}  // namespace adascale
