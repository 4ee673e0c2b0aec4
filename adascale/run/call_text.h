#pragma once
#include <string>

#include "adascale/run/run_plan.h"

namespace adascale {

/// The last part of a path: where files lie is nobody's business.
std::string name_of(const std::string& path);

/// A line to type in the folder, with the files' own prefix where that is a plain word to a shell and to Python.
std::string how_to_load(const ExportFormat& format, const std::string& prefix);

/// What its reader types to make the run again: the command, or Python's call where Python asked for the run.
/// Options with their defaults are left out, and those that only say where and how it is computed; files are named
/// without their folders. One that a shell or a page could misread is MODEL or FILE.
std::string call_of(const RunPlan& plan);

}  // namespace adascale
