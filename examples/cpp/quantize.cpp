// The one call: a model and its data in, a folder with the quantized model out.
//
//   adascale_quantize MODEL.pt2 CALIB.safetensors FOLDER
//
// CALIB's tensors are named like the model's inputs, samples along dim 0.
#include <adascale/adascale.h>

#include <cstdio>
#include <exception>

int main(int count, char** values) {
  if (count != 4) {
    std::fprintf(stderr, "usage: %s MODEL.pt2 CALIB.safetensors FOLDER\n", values[0]);
    return 2;
  }
  adascale::QuantizeRequest request;
  request.model = values[1];
  request.data.files = {values[2]};
  request.output_dir = values[3];
  request.sim.default_param_bw = 4;
  request.training.num_iterations = 100;
  try {
    const adascale::AdaScaleReport report = adascale::quantize(request);
    std::printf("%s", adascale::report_text(report).c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
