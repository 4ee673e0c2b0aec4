#include "cli/cli_main.h"

int main(int count, char** values) {
  return adascale::cli_main({values + 1, values + count}, {adascale::pt2_door()});
}
