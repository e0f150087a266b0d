#include "export/svoo_csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "plan/plan.h"

namespace sparsescope {
namespace {

constexpr std::string_view kHeader = "Step,Layer,Head,Sparsity";

struct Row {
  int64_t step = 0, layer = 0, head = 0;  // all from 0
  double kept = 0;
  int64_t line = 0;
};

bool in_range(const Row& row) {
  const auto in = [](int64_t index) { return index >= 0 && index < kMaxExtent; };
  return in(row.step) && in(row.layer) && in(row.head) && row.kept >= 0 && row.kept <= 1;
}

size_t index_of(const SvooTable& table, const Row& row) {
  return static_cast<size_t>((row.step * table.layers + row.layer) * table.heads + row.head);
}

template <typename Number>
bool parse_number(std::string_view text, Number& value) {
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && next == end;
}

bool parse_row(std::string_view text, Row& row) {
  std::array<std::string_view, 4> cells;
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t end = std::min(text.find(','), text.size());
    if ((i + 1 < cells.size()) == (end == text.size())) return false;
    cells[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const bool numbers = parse_number(cells[0], row.step) && parse_number(cells[1], row.layer) &&
                       parse_number(cells[2], row.head) && parse_number(cells[3], row.kept);
  row.step -= 1;
  return numbers && in_range(row);
}

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::vector<Row> parse_rows(std::string_view text, const std::string& what) {
  std::vector<Row> rows;
  for (int64_t line_number = 2; !text.empty(); ++line_number) {
    const std::string_view line = take_line(text);
    Row row;
    SPARSESCOPE_CHECK(ErrorKind::kData, parse_row(line, row),
                      "{}: line {}: expected step (from 1), layer, head (from 0) and a kept "
                      "fraction from 0 to 1, found '{}'",
                      what, line_number, line);
    row.line = line_number;
    rows.push_back(row);
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !rows.empty(), "{}: expected rows below the header", what);
  return rows;
}

// Sites in any order, each at least once; of several values of a site the largest stands.
SvooTable tabulate(const std::vector<Row>& rows, const std::string& what) {
  SvooTable table;
  for (const Row& row : rows) {
    table.steps = std::max(table.steps, row.step + 1);
    table.layers = std::max(table.layers, row.layer + 1);
    table.heads = std::max(table.heads, row.head + 1);
  }
  // Before anything of that size is allocated: extents are of the file's making.
  const double sites = static_cast<double>(table.steps) * static_cast<double>(table.layers) *
                       static_cast<double>(table.heads);
  SPARSESCOPE_CHECK(ErrorKind::kData, sites <= static_cast<double>(rows.size()),
                    "{}: expected a value for each of {} steps, {} layers and {} heads, found {}",
                    what, table.steps, table.layers, table.heads, rows.size());
  table.kept.assign(static_cast<size_t>(sites), -1.0);
  for (const Row& row : rows) {
    double& kept = table.kept[index_of(table, row)];
    kept = std::max(kept, row.kept);
  }
  const auto missing = std::find(table.kept.begin(), table.kept.end(), -1.0);
  if (missing != table.kept.end()) {
    const int64_t site = missing - table.kept.begin();
    throw Error(ErrorKind::kData,
                fmt::format("{}: step {}, layer {}, head {} is missing", what,
                            site / table.heads / table.layers + 1,
                            site / table.heads % table.layers, site % table.heads));
  }
  return table;
}

// The number behind the label, which is cut off with all before it.
template <typename Number>
bool take_number(std::string_view& line, std::string_view label, Number& value) {
  const size_t at = line.find(label);
  if (at == std::string_view::npos) return false;
  line.remove_prefix(at + label.size());
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto [next, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  line.remove_prefix(static_cast<size_t>(next - line.data()));
  return error == std::errc();
}

}  // namespace

std::string to_svoo_csv(const SvooTable& table) {
  std::string text = fmt::format("{}\r\n", kHeader);
  size_t site = 0;
  for (int64_t step = 0; step < table.steps; ++step) {
    for (int64_t layer = 0; layer < table.layers; ++layer) {
      for (int64_t head = 0; head < table.heads; ++head) {
        // The slack takes back what the product may round up: 0.07 * 1e4 > 700.
        const double digits = std::max(0.0, std::ceil(table.kept[site++] * 1e4 - 1e-6));
        text += fmt::format("{},{},{},{:.4f}\r\n", step + 1, layer, head, digits / 1e4);
      }
    }
  }
  return text;
}

SvooTable parse_svoo_csv(std::string_view text, const std::string& what) {
  const std::string_view header = take_line(text);
  SPARSESCOPE_CHECK(ErrorKind::kData, header == kHeader, "{}: line 1: expected '{}', found '{}'",
                    what, kHeader, header.substr(0, 80));
  const std::vector<Row> rows = parse_rows(text, what);
  SvooTable table = tabulate(rows, what);
  std::vector<bool> seen(table.kept.size());
  for (const Row& row : rows) {
    const size_t site = index_of(table, row);
    SPARSESCOPE_CHECK(ErrorKind::kData, !seen[site],
                      "{}: line {}: step {}, layer {}, head {} stands twice", what, row.line,
                      row.step + 1, row.layer, row.head);
    seen[site] = true;
  }
  return table;
}

SvooTable parse_svoo_log(std::string_view text, const std::string& what) {
  std::vector<Row> rows;
  Row site;
  bool in_self_attention = false, in_call = false;
  for (int64_t line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = take_line(text);
    std::string_view rest = line;
    bool sound = true;
    if (line.starts_with("[Sparsity]")) {
      in_call = true;
      in_self_attention = line.find("| Type: self |") != std::string_view::npos;
      sound = take_number(rest, "Layer", site.layer) && take_number(rest, "Step:", site.step);
      site.step -= 1;
    } else if (line.find("Sparsity=") != std::string_view::npos) {
      sound = in_call && take_number(rest, "Head", site.head) &&
              take_number(rest, "Sparsity=", site.kept);
      if (in_self_attention) rows.push_back(site);
    }
    SPARSESCOPE_CHECK(ErrorKind::kData, sound && in_range(site),
                      "{}: line {}: expected '[Sparsity] Layer L | Type: T | Step: N' (steps from "
                      "1), and below it 'Head H: Sparsity=v' with v from 0 to 1; found '{}'",
                      what, line_number, line.substr(0, 120));
  }
  SPARSESCOPE_CHECK(ErrorKind::kData, !rows.empty(),
                    "{}: expected the sparsity of self-attention, found none", what);
  return tabulate(rows, what);
}

}  // namespace sparsescope
