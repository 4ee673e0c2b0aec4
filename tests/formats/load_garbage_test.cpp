#include <ATen/ops/equal.h>

#include <optional>
#include <random>

#include "load_cases.h"

namespace adascale {
namespace {

using nlohmann::json;
using testing::aimet_file;
using testing::error_of;
using testing::fresh;
using testing::load;
using testing::text_of;

/// A simulation into which garbage is loaded. A load that fails leaves it unchanged; one that
/// succeeds leaves finite weights, and a new simulation takes its place.
class Victim {
 public:
  void load(const std::string& text) {
    if (!sim_) start();
    try {
      testing::load(*sim_, text, {.strict = false});
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Error::Fault::kUser) << error.what() << "\n" << text;
      expect_as_before(text);
      return;
    }
    for (int32_t i = 0; i < static_cast<int32_t>(sim_->weights().size()); ++i)
      EXPECT_TRUE(sim_->dequantized_weight(i).isfinite().all().item<bool>()) << text;
    sim_.reset();
  }

 private:
  void start() {
    sim_.emplace(fresh("sampled"));
    before_.clear();
    for (int32_t i = 0; i < static_cast<int32_t>(sim_->weights().size()); ++i)
      before_.push_back(sim_->dequantized_weight(i).clone());
  }
  void expect_as_before(const std::string& text) const {
    for (size_t i = 0; i < before_.size(); ++i)
      EXPECT_TRUE(at::equal(sim_->dequantized_weight(static_cast<int32_t>(i)), before_[i])) << text;
    for (const ActivationQuantizer& quantizer : sim_->activations()) EXPECT_FALSE(quantizer.encoding) << text;
  }

  std::optional<QuantizationSimModel> sim_;
  std::vector<at::Tensor> before_;
};

std::vector<std::string> garbage_seeds() {
  std::vector<std::string> texts;
  for (const char* name : {"pc_0.6.1", "bq_1.0.0", "lpbq_1.0.0", "bq_2.0.0", "lpbq_2.0.0", "lpbq_2.1.0"})
    texts.push_back(text_of(aimet_file(std::string(name) + ".encodings")));
  texts.push_back(text_of(aimet_file("lpbq_save.json")));
  return texts;
}

/// Pointers to all values of the document.
void gather(const json& value, const json::json_pointer& at, std::vector<json::json_pointer>& all) {
  all.push_back(at);
  if (value.is_object())
    for (const auto& [key, member] : value.items()) gather(member, at / key, all);
  if (value.is_array())
    for (size_t i = 0; i < value.size(); ++i) gather(value[i], at / i, all);
}

const std::vector<json>& confusions() {
  static const std::vector<json> values = {nullptr,
                                           true,
                                           0,
                                           -1,
                                           1,
                                           4,
                                           1e308,
                                           -1e308,
                                           1e-45,
                                           0.5,
                                           9223372036854775807LL,
                                           18446744073709551615ULL,
                                           -9223372036854775807LL,
                                           "",
                                           "NaN",
                                           "int99999999999",
                                           "uint",
                                           "PER_BLOCK",
                                           "True",
                                           json::array(),
                                           json::object(),
                                           {1, 2},
                                           {{1, 2}, {3}},
                                           {{"x", {1}}, {"x_scale", 1.0}},
                                           {{"0", {{"input", 1}}}}};
  return values;
}

TEST(LoadEncodings, SurvivesConfusedTypes) {
  for (const std::string& seed : garbage_seeds()) {
    const json file = json::parse(seed);
    std::vector<json::json_pointer> pointers;
    gather(file, json::json_pointer(), pointers);
    Victim victim;
    for (const json::json_pointer& pointer : pointers) {
      for (const json& value : confusions()) {
        json broken = file;
        broken[pointer] = value;
        victim.load(broken.dump());
      }
      if (pointer.empty()) continue;
      json broken = file;
      json& parent = broken[pointer.parent_pointer()];
      if (parent.is_object())
        parent.erase(pointer.back());
      else
        parent.erase(0);
      victim.load(broken.dump());
    }
  }
}

TEST(LoadEncodings, SurvivesTruncatedAndFlippedText) {
  std::mt19937 random(1);
  for (const std::string& seed : garbage_seeds()) {
    Victim victim;
    for (size_t length = 0; length < seed.size(); length += 7) victim.load(seed.substr(0, length));
    for (int round = 0; round < 300; ++round) {
      std::string broken = seed;
      for (int i = 0; i < 1 + round % 8; ++i)
        broken[random() % broken.size()] = static_cast<char>(random() % 256);
      victim.load(broken);
    }
    for (const char* number : {"NaN", "Infinity", "1e999", "-1e999", "1e-999", "9999999999999999999999"}) {
      std::string broken = seed;
      const size_t place = broken.find("0.0");
      broken.replace(place, 3, number);
      victim.load(broken);
    }
  }
  EXPECT_NE(error_of([] {
              QuantizationSimModel sim = fresh("sampled");
              load(sim, std::string(100000, '['));
            }).find("nested more than"),
            std::string::npos);
}

}  // namespace
}  // namespace adascale
