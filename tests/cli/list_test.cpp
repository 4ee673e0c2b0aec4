#include "adascale/formats/format.h"
#include "adascale/quant/range_analyzer.h"
#include "adascale/sim/layer_kind.h"
#include "adascale/tune/recipe.h"
#include "command_case.h"

namespace adascale::testing {
namespace {

template <class Table>
void expect_all_listed(const std::string& what, const Table& table) {
  const Ran ran = run_command({"list", what});
  EXPECT_EQ(ran.code, 0) << ran.err;
  ASSERT_FALSE(table.empty());
  for (const auto& row : table) EXPECT_HAS(ran.out, "\n" + row.name);
}

TEST(List, ShowsEveryRowOfItsTable) {
  expect_all_listed("formats", export_formats());
  expect_all_listed("layers", layer_kinds());
  expect_all_listed("recipes", recipes());
  expect_all_listed("schemes", range_schemes());
}

}  // namespace
}  // namespace adascale::testing
