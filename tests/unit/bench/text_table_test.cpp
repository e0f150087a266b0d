// The aligned table, as it is read.
#include "bench/text_table.h"

#include <gtest/gtest.h>

namespace sparsescope::testing {
namespace {

TEST(TextTable, AlignsNamesLeftAndNumbersRight) {
  EXPECT_EQ(format_text_table({{"run", "ms"}, {"dense", "1.5"}, {"vsa", "10.25"}}),
            "run       ms\n"
            "dense    1.5\n"
            "vsa    10.25\n");
}

}  // namespace
}  // namespace sparsescope::testing
