#include "adascale/io/write_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace adascale {
namespace {

const char* cure_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; make room there and run again";
    case EFBIG:
      return "; raise the limit of a file's size (ulimit -f), or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose a folder that you may write to";
    case ENOENT:
    case ENOTDIR:
      return "; make its folder first";
    default:
      return "; mend that, or choose another folder";
  }
}

}  // namespace

std::string write_error(const std::string& path, int error) {
  return fmt::format("{}: cannot be written: {}{}", path, std::strerror(error), cure_of(error));
}

}  // namespace adascale
