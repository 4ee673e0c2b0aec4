// The five steps of the workflow from C++: load, simulate, train, calibrate, export.
//
//   adascale_example MODEL.pt2 [CALIB.safetensors]
//
// CALIB's tensors are named like the model's inputs, samples along dim 0; random samples without it.
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <adascale/adascale.h>

#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

using Batch = std::map<std::string, at::Tensor>;  // by the program's input names

constexpr int64_t kBatches = 8, kBatchSize = 8;

/// Noise of the shape and dtype of `value`, with `kBatchSize` samples where the
/// program leaves the size open.
at::Tensor random_input(const adascale::Value& value) {
  std::vector<int64_t> sizes;
  for (const adascale::Dim& dim : value.sizes) sizes.push_back(dim.size);
  if (!sizes.empty() && !value.sizes[0].is_fixed()) sizes[0] = kBatchSize;
  if (value.is_float_tensor()) return at::randn(sizes).to(value.dtype);
  return at::randint(2, sizes, value.dtype);  // ids 0 and 1 are in any vocabulary
}

std::vector<Batch> random_batches(const adascale::Program& program) {
  std::vector<Batch> batches(kBatches);
  for (Batch& batch : batches)
    for (const adascale::ProgramInput* input : program.user_inputs())
      if (input->value != adascale::kNone) batch[input->name] = random_input(program.values[input->value]);
  return batches;
}

/// Whole batches of a calibration file.
std::vector<Batch> read_batches(const std::string& path) {
  std::vector<Batch> batches;
  for (const adascale::NamedTensor& samples : adascale::read_safetensors(path)) {
    batches.resize(samples.tensor.size(0) / kBatchSize);
    for (size_t i = 0; i < batches.size(); ++i)
      batches[i][samples.name] = samples.tensor.narrow(0, static_cast<int64_t>(i) * kBatchSize, kBatchSize);
  }
  return batches;
}

void quantize(const std::string& model, const std::string& data) {
  const adascale::Program program = adascale::load_program(model);
  const std::vector<Batch> batches = data.empty() ? random_batches(program) : read_batches(data);

  adascale::QuantizationSimModel sim(
      program, {.quant_scheme = adascale::QuantScheme::training_range_learning_with_tf_init,
                .default_param_bw = 4,
                .default_output_bw = 16});
  const adascale::AdaScaleReport report =
      adascale::apply_adascale(sim, batches, adascale::default_forward_fn, {.num_epochs = 10});
  sim.compute_encodings([&](auto& quantized) {
    for (const Batch& batch : batches) quantized(batch);
  });
  const adascale::Outputs outputs = sim(batches[0]);
  const auto files =
      adascale::export_model(sim, "out", "quantized_model", {"pt2", "safetensors", "encodings"});

  std::printf("%s\n%zu outputs from the simulated model\n", adascale::report_text(report).c_str(),
              outputs.size());
  for (const std::string& file : files) std::printf("wrote %s\n", file.c_str());
}

int main(int count, char** values) {
  if (count != 2 && count != 3) {
    std::fprintf(stderr, "usage: %s MODEL.pt2 [CALIB.safetensors]\n", values[0]);
    return 2;
  }
  try {
    quantize(values[1], count == 3 ? values[2] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
