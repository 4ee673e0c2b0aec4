#include "adascale/quant/group_kernels.h"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/device/gpu_program.h"
#include "adascale/device/traits.h"
#include "adascale/kernels/embedded_texts.h"
#include "adascale/kernels/kernel_switch.h"

namespace adascale {
namespace {

constexpr int64_t kWarp = 32, kThreads = 128, kMostThreads = 512;
// Chunks in a thread's registers: four of eight elements are what 128 registers hold.
constexpr int64_t kMostHeldByLanes = 4, kHeldByBlocks = 2, kMostHeld = 16;

int64_t ceil_divide(int64_t x, int64_t by) {
  return (x + by - 1) / by;
}

/// How threads share a group: some lanes of a warp, or a block.
struct Sharing {
  bool is_block = false;
  int64_t threads = 0, chunk = 1, held = 1;

  explicit Sharing(const GroupVariant& variant) : chunk(chunk_of(variant)) {
    const int64_t chunks = ceil_divide(variant.group, chunk);
    is_block = chunks > kWarp * kMostHeldByLanes;
    if (is_block)
      threads = std::min(kMostThreads, kWarp * ceil_divide(ceil_divide(chunks, kHeldByBlocks), kWarp));
    else
      threads = std::min(kWarp, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(chunks))));
    held = ceil_divide(chunks, threads);
  }

  int64_t threads_of_a_block() const { return is_block ? threads : kThreads; }
  int64_t blocks(int64_t groups) const { return is_block ? groups : ceil_divide(groups * threads, kThreads); }
};

const char* name_of(c10::ScalarType type) {
  ADA_ASSERT(type == c10::ScalarType::Float || type == c10::ScalarType::BFloat16,
             "a dtype that the kernels don't store");
  return type == c10::ScalarType::Float ? "Float" : "BFloat16";
}

const char* step_of(UpdateRule update) {
  ADA_ASSERT(update != UpdateRule::kStay, "a weight in training whose learnables stay");
  return update == UpdateRule::kAdam ? "AdamStep" : "SignedStep";
}

GpuSource source_text() {
  const std::vector<EmbeddedText>& texts = embedded_texts();
  GpuSource source{texts.front().name, texts.front().text, {}};
  for (size_t i = 1; i < texts.size(); ++i) source.headers.emplace_back(texts[i].name, texts[i].text);
  return source;
}

std::vector<std::string> options_of(const GroupVariant& variant, const Sharing& sharing) {
  return {
      "-std=c++17",
      "-default-device",
      fmt::format("-DADASCALE_WEIGHT={}", name_of(variant.weight)),
      fmt::format("-DADASCALE_OUTPUT={}", name_of(variant.output)),
      fmt::format("-DADASCALE_STEP={}", step_of(variant.update)),
      fmt::format("-DADASCALE_SHARERS={}<{}>", sharing.is_block ? "WholeBlock" : "Lanes", sharing.threads),
      fmt::format("-DADASCALE_THREADS={}", sharing.threads_of_a_block()),
      fmt::format("-DADASCALE_CHUNK={}", sharing.chunk),
      fmt::format("-DADASCALE_HELD={}", sharing.held)};
}

class CompiledKernels : public GroupKernels {
 public:
  CompiledKernels(c10::Device device, const GroupVariant& variant)
      : sharing_(variant), program_(device, source_text(), options_of(variant, sharing_)) {}
  void quantize(const GroupVisit& weight) const override { launch("quantize_groups", weight); }
  void step(const GroupVisit& weight) const override { launch("step_groups", weight); }

 private:
  void launch(const char* kernel, const GroupVisit& weight) const {
    program_.launch(kernel, static_cast<unsigned>(sharing_.blocks(weight.rows * weight.groups())),
                    static_cast<unsigned>(sharing_.threads_of_a_block()), &weight);
  }
  Sharing sharing_;
  GpuProgram program_;
};

}  // namespace

bool group_kernels_are_on(c10::Device device) {
  return kernels_are_on() && traits_of(device).compiles_kernels &&
         find_group_kernels(device, {.cols = 8, .group = 8}) != nullptr;
}

bool fits_kernels(const GroupVariant& variant) {
  return Sharing(variant).held <= kMostHeld;
}

int64_t chunk_of(const GroupVariant& variant) {
  constexpr int64_t kNeighbours = 8;
  return variant.cols % kNeighbours == 0 && variant.group % kNeighbours == 0 ? kNeighbours : 1;
}

std::shared_ptr<const GroupKernels> find_group_kernels(c10::Device device, const GroupVariant& variant) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const GroupKernels>> compiled;
  static std::set<std::string> said;
  std::string key = device.str();
  for (const std::string& option : options_of(variant, Sharing(variant))) key += " " + option;
  const std::lock_guard lock(mutex);
  if (const auto known = compiled.find(key); known != compiled.end()) return known->second;
  std::shared_ptr<const GroupKernels> kernels;
  try {
    kernels = std::make_shared<CompiledKernels>(device, variant);
  } catch (const Error& error) {  // boundary: slower, and not for the user to mend before work can start
    const std::string line = fmt::format("{}; weights on {} train by tensor operators, which take longer",
                                         error.what(), device.str());
    if (said.insert(line).second) log_line(line);
  }
  return compiled[key] = kernels;
}

}  // namespace adascale
