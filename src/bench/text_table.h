// Columns of text, aligned: the first to the left, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace sparsescope {

// rows[0] is the header; all rows have its length. Two blanks between columns.
std::string format_text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace sparsescope
