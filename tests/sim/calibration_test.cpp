#include "adascale/sim/calibration.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "adascale/core/progress.h"
#include "adascale/quant/range_analyzer.h"
#include "formats/model_files.h"

namespace adascale {
namespace {

using testing::error_of;
using testing::model_file;

class CalibrationOfTwo : public ::testing::Test {
 protected:
  CalibrationOfTwo() {
    set_log_sink([this](const std::string& line) { lines_.push_back(line); });
  }
  ~CalibrationOfTwo() override { set_log_sink({}); }

  Program program_ = load_program(model_file("masked"));
  std::vector<ActivationQuantizer> quantizers_ = {{.value = 0, .module = "fc", .port = "input"},
                                                  {.value = 1, .module = "fc", .port = "output", .index = 1}};
  Calibration calibration_{program_, 2, range_scheme("post_training_tf").make_analyzer, 0};
  std::vector<std::string> lines_;
};

TEST_F(CalibrationOfTwo, AQuantizerWithoutValuesIsOffAndTheLogNamesIt) {
  calibration_.observe(0, quantizers_[0], at::full({3}, 2.0));
  calibration_.observe(1, quantizers_[1], at::empty({0, 4}));
  const auto found = calibration_.finish(quantizers_);
  EXPECT_TRUE(found[0].encoding);
  EXPECT_EQ(found[0].off_reason, "");
  EXPECT_FALSE(found[1].encoding);
  EXPECT_EQ(found[1].off_reason, "got no values in calibration");
  EXPECT_EQ(lines_, std::vector<std::string>{
                        "compute_encodings: no values reached 1 activation quantizers, which stay off: "
                        "fc output 1; call the model on data that reaches them"});
}

TEST_F(CalibrationOfTwo, WithoutAnyValuesNothingIsLoggedButTheError) {
  EXPECT_EQ(error_of([&] { calibration_.finish(quantizers_); }),
            "compute_encodings: the forward pass never ran the model; call it on representative data");
  EXPECT_TRUE(lines_.empty());
}

TEST_F(CalibrationOfTwo, AFixedQuantizerNeedsNoValues) {
  for (ActivationQuantizer& quantizer : quantizers_) quantizer.is_fixed = true;
  const auto found = calibration_.finish(quantizers_);
  EXPECT_EQ(found[1].off_reason, "");
  EXPECT_TRUE(lines_.empty());
}

}  // namespace
}  // namespace adascale
