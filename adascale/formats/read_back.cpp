#include "adascale/formats/read_back.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/view_as_real.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "adascale/core/error.h"

namespace adascale {
namespace {

void expect_kind(const std::string& path, const std::string& name, const at::Tensor& got,
                 c10::ScalarType dtype, at::IntArrayRef sizes) {
  ADA_CHECK(got.scalar_type() == dtype && got.sizes() == sizes, "{}: {}: got {} [{}], expected {} [{}]", path,
            name, c10::toString(got.scalar_type()), fmt::join(got.sizes(), ", "), c10::toString(dtype),
            fmt::join(sizes, ", "));
}

/// The numbers of a complex tensor one by one.
at::Tensor real(const at::Tensor& tensor) {
  return tensor.is_complex() ? at::view_as_real(tensor) : tensor;
}

/// The place of an element, one index an axis.
std::vector<int64_t> place_of(int64_t position, at::IntArrayRef sizes) {
  std::vector<int64_t> place(sizes.size());
  for (size_t axis = sizes.size(); axis-- > 0; position /= sizes[axis]) place[axis] = position % sizes[axis];
  return place;
}

/// `first`: the row of the tensor at which `got` and `expected` begin.
[[noreturn]] void refuse(const std::string& path, const std::string& name, int64_t position,
                         const at::Tensor& got, const at::Tensor& expected, int64_t first = 0) {
  const auto number = [&](const at::Tensor& of) { return of.flatten()[position].item().toDouble(); };
  std::vector<int64_t> place = place_of(position, got.sizes());
  if (!place.empty()) place[0] += first;
  fail("{}: {}: got {} at [{}], expected {}", path, name, number(got), fmt::join(place, ", "),
       number(expected));
}

}  // namespace

void expect_same(const std::string& path, const std::string& name, const at::Tensor& got,
                 const at::Tensor& expected) {
  expect_kind(path, name, got, expected.scalar_type(), expected.sizes());
  const at::Tensor one = real(got).contiguous(), other = real(expected.detach().cpu()).contiguous();
  const auto *a = static_cast<const char*>(one.const_data_ptr()),
             *b = static_cast<const char*>(other.const_data_ptr());
  const size_t bytes = one.nbytes();
  if (bytes == 0 || std::memcmp(a, b, bytes) == 0) return;
  const int64_t position = (std::mismatch(a, a + bytes, b).first - a) / one.element_size();
  refuse(path, name, position, one, other);
}

void expect_rows(const std::string& path, const std::string& name, const RowsOf& got,
                 const at::Tensor& expected) {
  constexpr int64_t kElements = 1 << 20;  // at a time
  const int64_t rows = expected.size(0), step = std::max<int64_t>(1, kElements / expected.size(1));
  for (int64_t first = 0; first < rows; first += step) {
    const int64_t count = std::min(step, rows - first);
    const at::Tensor one = got(first, count), other = expected.narrow(0, first, count);
    expect_kind(path, name, one, other.scalar_type(), other.sizes());
    if (at::equal(one, other)) continue;
    refuse(path, name, one.ne(other).flatten().to(at::kByte).argmax().item<int64_t>(), one, other, first);
  }
}

void expect_finite(const std::string& path, const std::string& name, const at::Tensor& scales) {
  ADA_CHECK(scales.isfinite().all().item<bool>(), "{}: {}: got NaN or infinity, expected finite scales", path,
            name);
}

void expect_metadata(const std::string& path, const std::map<std::string, std::string>& got,
                     const std::map<std::string, std::string>& expected) {
  for (const auto& [key, value] : expected) {
    const auto found = got.find(key);
    ADA_CHECK(found != got.end(), "{}: metadata: got no {}, expected '{}'", path, key, value);
    ADA_CHECK(found->second == value, "{}: metadata: {}: got '{}', expected '{}'", path, key, found->second,
              value);
  }
  for (const auto& [key, value] : got)
    ADA_CHECK(expected.contains(key), "{}: metadata: got {}, which was not written", path, key);
}

namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(file), {});
  ADA_CHECK(file.is_open() && !file.bad(), "{}: cannot be read: {}", path, std::strerror(errno));
  return content;
}

}  // namespace

void expect_text(const std::string& path, const std::string& text) {
  const std::string got = content_of(path);
  ADA_CHECK(got.size() == text.size(), "{}: got {} bytes, expected {}", path, got.size(), text.size());
  const auto differs = std::mismatch(got.begin(), got.end(), text.begin()).first;
  ADA_CHECK(differs == got.end(), "{}: got another byte at {} than was written", path, differs - got.begin());
}

void expect_json(const std::string& path, const nlohmann::ordered_json& json) {
  const auto got = nlohmann::ordered_json::parse(content_of(path), nullptr, /*allow_exceptions=*/false);
  ADA_CHECK(!got.is_discarded(), "{}: got no JSON", path);
  ADA_CHECK(got == json, "{}: got other JSON than was written", path);
}

void expect_copy(const std::string& path, const std::string& source) {
  expect_text(path, content_of(source));
}

HeldTensors::HeldTensors(std::string path, const std::vector<NamedTensor>& tensors)
    : path_(std::move(path)), pass_(pass_reading_back(path_, tensors.size())) {
  for (const NamedTensor& named : tensors) tensors_.emplace(named.name, named.tensor);
}

at::Tensor HeldTensors::take(const std::string& name) {
  const auto found = tensors_.find(name);
  ADA_CHECK(found != tensors_.end(), "{}: got no tensor {}, expected one", path_, name);
  at::Tensor tensor = std::move(found->second);
  tensors_.erase(found);
  pass_.step();
  return tensor;
}

at::Tensor HeldTensors::take(const std::string& name, c10::ScalarType dtype, at::IntArrayRef sizes) {
  at::Tensor tensor = take(name);
  expect_kind(path_, name, tensor, dtype, sizes);
  return tensor;
}

void HeldTensors::expect_no_more() const {
  ADA_CHECK(tensors_.empty(), "{}: got a tensor {}, which was not written", path_, tensors_.begin()->first);
}

}  // namespace adascale
