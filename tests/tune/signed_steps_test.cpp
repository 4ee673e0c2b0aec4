#include "adascale/tune/signed_steps.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace adascale {
namespace {

TEST(SignedSteps, MoveByRateAndLengthAgainstTheGradientsSign) {
  at::Tensor p = at::tensor({1.0f, 1.0f, 1.0f}).requires_grad_();
  const at::Tensor lengths = at::tensor({1.0f, 10.0f, 2.0f});
  SignedSteps steps({p}, {lengths}, 0.1);
  p.mutable_grad() = at::tensor({1e-9f, -1e9f, 0.0f});
  steps.step(0.5);
  EXPECT_TRUE(p.detach().allclose(at::tensor({0.95f, 1.5f, 1.0f}), 0, 1e-7)) << p;
  EXPECT_FALSE(p.grad().defined());
}

TEST(SignedSteps, WhatTheLossDoesNotReachStays) {
  at::Tensor p = at::tensor({1.0f}).requires_grad_();
  SignedSteps({p}, {}, 0.1).step(1);
  EXPECT_EQ(p.item<float>(), 1);
}

}  // namespace
}  // namespace adascale
