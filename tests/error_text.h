#pragma once
#include <gtest/gtest.h>

#include <string>

#include "adascale/core/error.h"

namespace adascale::testing {

/// The text, one line, of the Error that `work` throws; expects the user's fault unless `fault` is ours.
template <class Work>
std::string error_of(const Work& work, Error::Fault fault = Error::Fault::kUser) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), fault);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "no error";
}

}  // namespace adascale::testing
