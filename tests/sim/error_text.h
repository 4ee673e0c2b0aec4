#pragma once
#include <gtest/gtest.h>

#include <string>

#include "adascale/core/error.h"

namespace adascale::testing {

/// The text of the user's Error that `work` throws: one line.
template <class Work>
std::string error_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Error::Fault::kUser);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "no error";
}

}  // namespace adascale::testing
