#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace adascale {

/// The processes that train one model together. All have the same program and weights; each has its share of the
/// batches, and so of both streams. What is added over all has the same bits on each, and with it what follows.
class Team {
 public:
  Team(int64_t rank, int64_t size) : rank_(rank), size_(size) {}
  virtual ~Team() = default;
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int64_t rank() const { return rank_; }  ///< 0 to size - 1; 0 writes the checkpoint and the files
  int64_t size() const { return size_; }
  bool leads() const { return rank_ == 0; }
  /// Adds contiguous tensors over all processes, in place; each calls it in the same order with the same sizes.
  /// Throws (user) where another process is gone.
  virtual void add(const std::vector<at::Tensor>& tensors) = 0;
  /// Until all have come here.
  void wait();
  /// This process's items of all: its rank's, and each size-th from there.
  template <class T>
  std::vector<T> share_of(const std::vector<T>& all) const {
    std::vector<T> own;
    for (auto i = static_cast<size_t>(rank_); i < all.size(); i += static_cast<size_t>(size_))
      own.push_back(all[i]);
    return own;
  }
  /// Adds numbers over all processes, in place.
  void add(std::vector<double>& numbers);
  /// The reverse of share_of, of numbers: exact.
  std::vector<double> join(const std::vector<double>& own);
  /// Throws (user), in every process, naming the facts in which one differs from the first.
  void check_same(const std::map<std::string, std::string>& facts);

 private:
  int64_t rank_, size_;
};

/// The process's team from now on; null: it works alone, as at the start.
void set_team(std::shared_ptr<Team> team);
/// A team of one where it works alone, which adds nothing.
const std::shared_ptr<Team>& present_team();

}  // namespace adascale
