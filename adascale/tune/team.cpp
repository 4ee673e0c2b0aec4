#include "adascale/tune/team.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "adascale/core/error.h"

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

void Team::add(std::vector<double>& numbers) {
  add({at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::kDouble)});
}

std::vector<double> Team::join(const std::vector<double>& own) {
  std::vector<double> all(own.size() * static_cast<size_t>(size_));
  for (size_t i = 0; i < own.size(); ++i)
    all[i * static_cast<size_t>(size_) + static_cast<size_t>(rank_)] = own[i];
  add(all);
  return all;
}

void Team::check_same(const std::map<std::string, std::string>& facts) {
  if (size_ == 1) return;
  std::vector<double> own;
  for (const auto& [name, value] : facts)
    own.push_back(
        static_cast<double>(std::hash<std::string>()(value) >> 12));  // as many bits as a double holds
  const std::vector<double> all = join(own);
  std::vector<std::string> different;
  size_t at = 0;
  for (const auto& [name, value] : facts) {
    const auto first = all.begin() + static_cast<int64_t>(at), last = first + size_;
    if (std::any_of(first, last, [&](double hash) { return hash != *first; })) different.push_back(name);
    at += static_cast<size_t>(size_);
  }
  ADA_CHECK(different.empty(),
            "the {} processes differ in: {}; give all the same model, all of the data and the same options, "
            "on like "
            "machines",
            size_, fmt::join(different, ", "));
}

void set_team(std::shared_ptr<Team> present) {
  team() = present ? std::move(present) : std::make_shared<Alone>();
}

const std::shared_ptr<Team>& present_team() {
  return team();
}

}  // namespace adascale
