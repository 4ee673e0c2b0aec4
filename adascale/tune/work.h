#pragma once
#include <cstdint>
#include <vector>

#include "adascale/quant/grid.h"
#include "adascale/sim/layers.h"

namespace adascale {

struct PartToTrain;
struct TrainingPlan;

/// What the blocks of a training cost, counted from shapes alone: products with quantized weights and visits of the
/// weights that are trained. Attention's products, norms and files are not in it.
struct Work {
  double flops = 0;     ///< 2 a multiplication; backward counts twice forward
  double searched = 0;  ///< weights whose start range is searched
  double trained = 0;   ///< weights that the blocks decide
  double encoded = 0;   ///< weights that get codes, once for each candidate
  double visits = 0;    ///< of a weight in training by an iteration

  /// The largest trained weight of a product, of which a slice is timed; of a lookup where there is no product.
  struct Sample {
    std::vector<int64_t> sizes;
    c10::ScalarType dtype = c10::ScalarType::Float;
    Grid grid;
    WeightAxes axes;
    bool has_s4 = false;
    bool takes_bfloat16 = false;
    bool multiplies = false;
    int64_t rows = 0;  ///< of its layer's input in a batch; of a stack, for one of its matrices
  } sample;
};

/// Of all blocks of the plan, for one process.
Work count_work(const std::vector<PartToTrain>& parts, const TrainingPlan& plan);

/// How fast this machine is at it.
struct Speed {
  double seconds_a_flop, seconds_a_search, seconds_a_code, seconds_a_visit;
};

/// Of a plan that encodes weights. Times a product, a search, an encoding and a step of a slice of the sample, of
/// random numbers: a second or two.
Speed measure_speed(const Work::Sample& sample, const TrainingPlan& plan, c10::Device device);

double seconds_for(const Work& work, const Speed& speed);

}  // namespace adascale
