#pragma once
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/formats/format.h"

namespace adascale {

/// Throws (user) unless the folder, or one that it can be made in, is writable. Leaves it unchanged.
void check_writable(const std::string& folder);

/// Objects to files that have no place in the folder: a folder has the name, or a file that of their folder.
void check_places(const ExportPlan& files, Objections& objections);

/// Objects to a README.md of the user's where a model card is to lie.
void check_card(const ExportPlan& files, Objections& objections);

/// Objects to files of an earlier run that would stay beside this run's: a runtime would take old
/// encodings for those of the new weights.
void check_no_leftovers(const ExportPlan& files, Objections& objections);

/// Objects to files of the user's (`sources`) among those to write.
void check_no_overwritten(const std::vector<std::string>& paths, const std::vector<std::string>& sources,
                          Objections& objections);

}  // namespace adascale
