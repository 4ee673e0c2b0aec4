#include "adascale/tune/team.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <utility>

namespace adascale {
namespace {

class Alone : public Team {
 public:
  Alone() : Team(0, 1) {}
  void add(const std::vector<at::Tensor>& /*tensors*/) override {}
};

std::shared_ptr<Team>& team() {
  static std::shared_ptr<Team> present = std::make_shared<Alone>();
  return present;
}

}  // namespace

void Team::wait() {
  add({at::zeros({1})});
}

std::vector<double> Team::join(const std::vector<double>& own) {
  std::vector<double> all(own.size() * static_cast<size_t>(size_));
  for (size_t i = 0; i < own.size(); ++i)
    all[i * static_cast<size_t>(size_) + static_cast<size_t>(rank_)] = own[i];
  add({at::from_blob(all.data(), {static_cast<int64_t>(all.size())}, at::kDouble)});
  return all;
}

void set_team(std::shared_ptr<Team> present) {
  team() = present ? std::move(present) : std::make_shared<Alone>();
}

const std::shared_ptr<Team>& present_team() {
  return team();
}

}  // namespace adascale
