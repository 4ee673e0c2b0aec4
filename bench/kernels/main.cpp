#include "adascale/kernels/weight_rows.h"
#include "cases.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("kernel_target", adascale::kernel_target());
  adascale::bench::add_copy();
  adascale::bench::add_weight_pass();
  adascale::bench::add_clip_search();
  adascale::bench::add_attention();
  adascale::bench::add_experts();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
