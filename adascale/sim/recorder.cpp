#include "adascale/sim/recorder.h"

#include "adascale/sim/quantsim_body.h"

namespace adascale {

Recorder::Recorder(QuantizationSimModel& sim) : sim_(sim) {
  ADA_ASSERT(!sim_.body_->recorded, "two recorders of one simulation");
  sim_.body_->recorded = &recorded_;
}

Recorder::~Recorder() {
  sim_.body_->recorded = nullptr;
}

}  // namespace adascale
