#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "adascale/kernels/weight_rows.h"

// Rows at the same time on plain threads, which ThreadSanitizer understands without knowing OpenMP: no row
// touches another one's memory, and each gives the bits that it gives alone. `scripts/sanitize thread` runs it.
namespace adascale {
namespace {

constexpr int64_t kRows = 37, kCols = 200;

using Values = std::vector<float>;

Values wave(int64_t count, float start, float height) {
  Values values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = height * std::sin(start + 0.7F * static_cast<float>(i));
  return values;
}

using Range = std::function<void(int64_t first, int64_t last)>;
using Loop = std::function<void(int64_t rows, const Range&)>;

void on_one_thread(int64_t rows, const Range& range) {
  range(0, rows);
}

void on_four_threads(int64_t rows, const Range& range) {
  std::vector<std::thread> threads;
  const int64_t each = (rows + 3) / 4;
  for (int64_t first = 0; first < rows; first += each)
    threads.emplace_back([&range, first, last = std::min(rows, first + each)] { range(first, last); });
  for (std::thread& thread : threads) thread.join();
}

/// A weight and its learnables in memory.
struct Weight {
  explicit Weight(int64_t group, UpdateRule rule) {
    view.rows = kRows;
    view.cols = kCols;
    view.group = group;
    view.grid = {.qmin = -4, .steps = 7, .symmetric = true, .smallest_scale = 1e-6F};
    const int64_t scales = kRows * view.groups();
    view.w = (w = wave(kRows * kCols, 0, 1)).data();
    view.min = (min = Values(scales, -1)).data();
    view.max = (max = Values(scales, 1)).data();
    view.start_scale = (start_scale = Values(scales, 2.0F / 7)).data();
    view.gradient = (gradient = wave(kRows * kCols, 1, 0.1F)).data();
    view.output = (output = Values(kRows * kCols)).data();
    view.s2 = learnable(kRows * kCols, rule);
    for (RowLearnable* each : {&view.s3, &view.beta, &view.gamma}) *each = learnable(scales, rule);
    for (float** each : {&view.now.scale, &view.now.offset, &view.now.shrink}) *each = room(scales);
    view.next = view.now;
    step = {rule, 1e-2F, 1e-2F, 1};
  }

  float* room(int64_t count) {
    rooms.push_back(std::make_unique<Values>(count));
    return rooms.back()->data();
  }
  RowLearnable learnable(int64_t count, UpdateRule rule) {
    const bool has_moments = rule == UpdateRule::kAdam;
    return {room(count), has_moments ? room(count) : nullptr, has_moments ? room(count) : nullptr};
  }

  /// Two steps; all memory that they leave.
  std::vector<Values> train(const Loop& loop) {
    loop(kRows, [&](int64_t first, int64_t last) { find_affine(view, first, last); });
    loop(kRows, [&](int64_t first, int64_t last) { quantize_rows(view, first, last); });
    for (int i = 0; i < 2; ++i)
      loop(kRows, [&](int64_t first, int64_t last) { step_rows(view, step, first, last); });
    std::vector<Values> left{output};
    for (const auto& values : rooms) left.push_back(*values);
    return left;
  }

  Values errors(const Loop& loop) {
    const Values importance = wave(kCols, 2, 1), offset(kRows * view.groups(), 0);
    Values found(kRows * view.groups());
    const RangeTrial trial{.rows = kRows,
                           .cols = kCols,
                           .group = view.group,
                           .grid = view.grid,
                           .w = w.data(),
                           .scale = start_scale.data(),
                           .offset = offset.data(),
                           .importance = importance.data(),
                           .error = found.data()};
    loop(kRows, [&](int64_t first, int64_t last) { find_errors(trial, first, last); });
    return found;
  }

  WeightRows view;
  RowRule step;
  Values w, min, max, start_scale, gradient, output;
  std::vector<std::unique_ptr<Values>> rooms;
};

TEST(RowThreads, StepsOfRowsAreApart) {
  for (const UpdateRule rule : {UpdateRule::kSigned, UpdateRule::kAdam})
    for (const int64_t group : {kCols, int64_t{64}}) {
      Weight alone(group, rule), together(group, rule);
      const std::vector<Values> expected = alone.train(on_one_thread);
      EXPECT_EQ(together.train(on_four_threads), expected);
      EXPECT_NE(expected.front(), alone.w) << "the rows were quantized";
    }
}

TEST(RowThreads, ErrorsOfRowsAreApart) {
  Weight weight(64, UpdateRule::kSigned);
  const Values expected = weight.errors(on_one_thread);
  EXPECT_EQ(weight.errors(on_four_threads), expected);
  EXPECT_GT(*std::max_element(expected.begin(), expected.end()), 0);
}

TEST(RowThreads, SumsOfRowsAreApart) {
  Weight weight(kCols, UpdateRule::kSigned);
  const auto sums_of = [&](const Loop& loop) {
    loop(kRows, [&](int64_t first, int64_t last) { find_affine(weight.view, first, last); });
    std::vector<Values> columns(kRows, Values(kCols));
    loop(kRows, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        sum_rows(weight.view, row, row + 1, nullptr, columns[row].data());
    });
    return columns;
  };
  Values shrink(kCols, 1);
  weight.view.column_now = weight.view.column_next = shrink.data();
  EXPECT_EQ(sums_of(on_one_thread), sums_of(on_four_threads));
}

}  // namespace
}  // namespace adascale
