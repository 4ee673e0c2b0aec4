#include "adascale/run/request.h"

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/device/devices.h"
#include "adascale/run/bit_target.h"
#include "adascale/tune/recipe.h"

namespace adascale {
QuantizeRequest::QuantizeRequest() : scheme(to_string(QuantScheme::post_training_tf)) {
  sim.default_param_bw = kDefaultParamBits;
  sim.default_output_bw = kOffBits;
  sim.fold_batch_norms = true;
}

void check_options(const QuantizeRequest& request, Objections& objections) {
  visit_request_options(RuleChecker(objections), request);
  if (request.training.num_epochs && request.training.num_iterations)
    objections.add("{} and {}: both are given, expected one of them", option("epochs"), option("iterations"));
  if (request.sim.quant_scheme != SimOptions().quant_scheme)
    objections.add("sim.quant_scheme: is not used; set scheme");
  if (request.sim.in_place || request.sim.on_demand || request.sim.fit_grid || request.sim.is_part ||
      !request.sim.reads_weights)
    objections.add(
        "sim.in_place, on_demand, fit_grid, is_part, reads_weights: a run decides them itself; leave them "
        "out");
  check_bit_target(request, objections);
  if (!request.formats.empty()) choose_formats(request.formats, objections);
  objections.gather([&] { recipe_named(request.training.recipe); });
  objections.gather([&] { quant_scheme_from(request.scheme, option("scheme")); });
  if (request.sim.device != "auto") objections.gather([&] { find_device(request.sim.device); });
}

}  // namespace adascale
