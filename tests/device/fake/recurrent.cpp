#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <array>

#include "device/fake/alias.h"
#include "device/fake/counters.h"

// The fused cells with which an LSTM and a GRU make their steps on any device but the CPU. The
// content of a cell's workspace, from its forward for its backward, is internal.
namespace fake_device {
namespace {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;

Tensor read(const Tensor& tensor) {
  TORCH_CHECK(!tensor.defined() || on_device(tensor),
              "Expected all tensors to be on the same device, but found at ",
              "least two devices, fake:0 and ", tensor.device(), "!");
  return alias(tensor);
}

Tensor read(const OptionalTensor& tensor) {
  return tensor ? read(*tensor) : Tensor();
}

Tensor with_bias(const Tensor& gates, const OptionalTensor& bias) {
  return bias && bias->defined() ? gates + read(bias) : gates;
}

// s'(x) in terms of s(x), for both functions of the gates.
Tensor sigmoid_slope(const Tensor& s) {
  return s * (1 - s);
}
Tensor tanh_slope(const Tensor& t) {
  return 1 - t * t;
}

Tensor bias_gradient(const Tensor& gates, bool has_bias) {
  return has_bias ? upload(gates.sum(0)) : Tensor();
}

std::tuple<Tensor, Tensor, Tensor> lstm_cell(const Tensor& input_gates, const Tensor& hidden_gates,
                                             const Tensor& cx, const OptionalTensor& input_bias,
                                             const OptionalTensor& hidden_bias) {
  count_launch("aten::_thnn_fused_lstm_cell");
  const Tensor gates = with_bias(read(input_gates), input_bias) + with_bias(read(hidden_gates), hidden_bias);
  const auto parts = gates.chunk(4, 1);
  const Tensor i = parts[0].sigmoid(), f = parts[1].sigmoid(), g = parts[2].tanh(), o = parts[3].sigmoid();
  const Tensor cy = f * read(cx) + i * g;
  return {upload(o * cy.tanh()), upload(cy), upload(at::cat({i, f, g, o}, 1))};
}

std::tuple<Tensor, Tensor, Tensor> lstm_cell_backward(const OptionalTensor& grad_hy,
                                                      const OptionalTensor& grad_cy, const Tensor& cx,
                                                      const Tensor& cy, const Tensor& workspace,
                                                      bool has_bias) {
  const Tensor dhy = read(grad_hy), dcy = read(grad_cy);
  if (!dhy.defined() && !dcy.defined()) return {};
  count_launch("aten::_thnn_fused_lstm_cell_backward_impl");
  const auto parts = read(workspace).chunk(4, 1);
  const Tensor &i = parts[0], &f = parts[1], &g = parts[2], &o = parts[3];
  const Tensor squashed = read(cy).tanh();
  const Tensor dh = dhy.defined() ? dhy : at::zeros_like(dcy);
  Tensor dc = dh * o * tanh_slope(squashed);
  if (dcy.defined()) dc = dc + dcy;
  const Tensor gates = at::cat({dc * g * sigmoid_slope(i), dc * read(cx) * sigmoid_slope(f),
                                dc * i * tanh_slope(g), dh * squashed * sigmoid_slope(o)},
                               1);
  return {upload(gates), upload(dc * f), bias_gradient(gates, has_bias)};
}

std::tuple<Tensor, Tensor> gru_cell(const Tensor& input_gates, const Tensor& hidden_gates, const Tensor& hx,
                                    const OptionalTensor& input_bias, const OptionalTensor& hidden_bias) {
  count_launch("aten::_thnn_fused_gru_cell");
  const auto input = with_bias(read(input_gates), input_bias).chunk(3, 1);
  const auto hidden = with_bias(read(hidden_gates), hidden_bias).chunk(3, 1);
  const Tensor h = read(hx);
  const Tensor r = (input[0] + hidden[0]).sigmoid(), z = (input[1] + hidden[1]).sigmoid();
  const Tensor n = (input[2] + r * hidden[2]).tanh();
  return {upload((h - n) * z + n), upload(at::cat({r, z, n, h, hidden[2]}, 1))};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> gru_cell_backward(const Tensor& grad_hy,
                                                                     const Tensor& workspace, bool has_bias) {
  count_launch("aten::_thnn_fused_gru_cell_backward");
  const auto parts = read(workspace).chunk(5, 1);
  const Tensor &r = parts[0], &z = parts[1], &n = parts[2], &h = parts[3], &hidden_n = parts[4];
  const Tensor d = read(grad_hy);
  const Tensor dn = d * (1 - z) * tanh_slope(n);
  const Tensor dz = d * (h - n) * sigmoid_slope(z);
  const Tensor dr = dn * hidden_n * sigmoid_slope(r);
  const Tensor input = at::cat({dr, dz, dn}, 1), hidden = at::cat({dr, dz, dn * r}, 1);
  return {upload(input), upload(hidden), upload(d * z), bias_gradient(input, has_bias),
          bias_gradient(hidden, has_bias)};
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("_thnn_fused_lstm_cell", &lstm_cell);
  library.impl("_thnn_fused_lstm_cell_backward_impl", &lstm_cell_backward);
  library.impl("_thnn_fused_gru_cell", &gru_cell);
  library.impl("_thnn_fused_gru_cell_backward", &gru_cell_backward);
}

}  // namespace
}  // namespace fake_device
