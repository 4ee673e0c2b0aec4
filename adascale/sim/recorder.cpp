#include "adascale/sim/recorder.h"

#include "adascale/sim/quantsim_body.h"

namespace adascale {

Recorder::Recorder(QuantizationSimModel& sim) : sim_(sim) {
  ADA_CHECK(!sim_.body_->recorded, "apply_adascale: called within a forward function");
  sim_.body_->recorded = &recorded_;
}

Recorder::~Recorder() {
  sim_.body_->recorded = nullptr;
}

}  // namespace adascale
