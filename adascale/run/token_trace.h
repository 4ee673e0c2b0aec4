#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

namespace adascale {

/// The place in a sample where the quantized model is furthest from the other.
struct WorstToken {
  int64_t position = 0;
  double kl = -1;               ///< below 0: the sample has no token that counts
  std::vector<int64_t> before;  ///< ids of the last tokens up to it; both models say what follows
  int64_t fp_next = 0, quant_next = 0;
};

/// One sample's divergence.
struct SampleTrace {
  double kl = 0;  ///< summed over its tokens
  int64_t tokens = 0;
  WorstToken worst;
  double mean() const { return tokens == 0 ? 0 : kl / static_cast<double>(tokens); }
};

/// Where in the data the divergence of each token lies: by position, by size, by sample.
class TokenTrace {
 public:
  static constexpr int kBins = 40;                  ///< of the histogram
  static constexpr double kLow = -8, kStep = 0.25;  ///< log10 of the first bin's low end; of a bin's width

  void begin_sample() { samples_.emplace_back(); }
  /// Of the present sample: `kl` [count] from position `start` on; `keep` bool [count]; ids [seq] of the sample; `p` and
  /// `q` log probabilities [count, vocab] of what follows.
  void add(int64_t start, const at::Tensor& kl, const at::Tensor& keep, const at::Tensor& ids,
           const at::Tensor& p, const at::Tensor& q);

  const std::vector<SampleTrace>& samples() const { return samples_; }
  const std::vector<double>& kl_at() const { return kl_at_; }  ///< summed, by position
  const std::vector<int64_t>& tokens_at() const { return tokens_at_; }
  /// Tokens by log10 of their divergence; what is outside the bins is in the first or the last.
  const std::array<int64_t, kBins>& histogram() const { return histogram_; }

 private:
  std::vector<SampleTrace> samples_;
  std::vector<double> kl_at_;
  std::vector<int64_t> tokens_at_;
  std::array<int64_t, kBins> histogram_{};
};

}  // namespace adascale
