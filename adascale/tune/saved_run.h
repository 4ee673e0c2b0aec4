#pragma once
#include <string>

#include "adascale/tune/fingerprint.h"

namespace adascale {

/// What the blocks of a checkpoint were made from, `run.json`: JSON with a digest.
void write_run(const std::string& path, const Fingerprint& fingerprint);
/// Throws (user) where it is damaged, or no file of ours.
Fingerprint read_run(const std::string& path);

/// The value of that name; "nothing" where there is none.
std::string value_in(const Fingerprint::Fields& fields, const std::string& name);

/// Throws (user) unless a run goes on to the result of the one that was interrupted, with all options that
/// differ; where none does, with what else differs. What `now` does not know is not compared.
void check_same(const std::string& folder, const Fingerprint& saved, const Fingerprint& now);

}  // namespace adascale
