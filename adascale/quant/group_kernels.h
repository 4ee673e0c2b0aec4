#pragma once
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>

#include "adascale/kernels/group_visit.h"

namespace adascale {

/// What the kernels of kernels/group_visit.h are compiled for.
struct GroupVariant {
  c10::ScalarType weight = c10::ScalarType::Float, output = c10::ScalarType::Float;  ///< kFloat or kBFloat16
  UpdateRule update = UpdateRule::kSigned;
  int64_t cols = 0, group = 0;
};

/// The kernels of one variant, where the weight is.
class GroupKernels {
 public:
  virtual ~GroupKernels() = default;
  /// The affine and w_dq of all groups, from the learnables.
  virtual void quantize(const GroupVisit& weight) const = 0;
  /// Backward, step, affine and w_dq of all groups.
  virtual void step(const GroupVisit& weight) const = 0;
};

/// Whether weights on the device are trained by these kernels, where their grid allows it: tries to compile some.
bool group_kernels_are_on(c10::Device device);
/// Whether a thread can hold its part of a group: of rows up to 65,536 elements, or 8,192 where these are not eights.
bool fits_kernels(const GroupVariant& variant);

/// Of such a device. They are compiled once a process and variant. Null, with a line in the log, where torch's compiler or the driver refuses: tensor operators do the same.
std::shared_ptr<const GroupKernels> find_group_kernels(c10::Device device, const GroupVariant& variant);

/// The number of neighbours that a thread takes at a time: 8 where every group is cut in eights, else 1.
int64_t chunk_of(const GroupVariant& variant);

}  // namespace adascale
