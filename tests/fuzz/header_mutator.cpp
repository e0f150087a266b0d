#include "fuzz/header_mutator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <vector>

#include "core/rng.h"

namespace sparsescope::testing {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t key) : key_(key) {}
  // [0, bound)
  uint64_t below(uint64_t bound) { return combine_key(key_, index_++) % bound; }
  template <typename List>
  const auto& pick(const List& list) {
    return list[below(list.size())];
  }

 private:
  uint64_t key_;
  uint64_t index_ = 0;
};

constexpr std::array<std::string_view, 14> kNumbers{"0",
                                                    "1",
                                                    "-1",
                                                    "-0",
                                                    "1.0",
                                                    "1e3",
                                                    "\"1\"",
                                                    "null",
                                                    "[1]",
                                                    "9223372036854775807",
                                                    "9223372036854775808",
                                                    "18446744073709551615",
                                                    "18446744073709551616",
                                                    "00"};
constexpr std::array<std::string_view, 12> kTokens{"{",       "}",
                                                   "[",       "]",
                                                   ",",       ":",
                                                   "\"",      "\\",
                                                   "\\u0000", "\"__metadata__\":{}",
                                                   "\xff",    std::string_view("\0", 1)};

std::vector<size_t> positions(const std::string& text, std::string_view characters) {
  std::vector<size_t> found;
  for (size_t at = text.find_first_of(characters); at != std::string::npos;
       at = text.find_first_of(characters, at + 1)) {
    found.push_back(at);
  }
  return found;
}

// Replaces one number by a hostile one.
void change_number(std::string& text, Dice& dice) {
  const std::vector<size_t> digits = positions(text, "0123456789");
  if (digits.empty()) return;
  const size_t first = text.find_last_not_of("0123456789", dice.pick(digits)) + 1;
  const size_t end = text.find_first_not_of("0123456789", first);
  text.replace(first, (end == std::string::npos ? text.size() : end) - first, dice.pick(kNumbers));
}

void insert_token(std::string& text, Dice& dice) {
  text.insert(dice.below(text.size() + 1), dice.pick(kTokens));
}

// Copies a stretch between two commas or braces: keys and entries stand twice.
void repeat_stretch(std::string& text, Dice& dice) {
  const std::vector<size_t> marks = positions(text, ",{}");
  if (marks.size() < 2) return;
  const size_t first = dice.below(marks.size() - 1);
  const size_t last = first + 1 + dice.below(marks.size() - first - 1);
  const std::string stretch = text.substr(marks[first], marks[last] - marks[first]);
  text.insert(marks[last], stretch);
}

void erase_stretch(std::string& text, Dice& dice) {
  if (text.empty()) return;
  const size_t first = dice.below(text.size());
  text.erase(first, 1 + dice.below(8));
}

void flip_bit(std::string& text, Dice& dice) {
  if (text.empty()) return;
  char& byte = text[dice.below(text.size())];
  byte = static_cast<char>(byte ^ (1 << dice.below(8)));
}

void nest(std::string& text, Dice& dice) {
  const size_t depth = 1 + dice.below(2000);
  std::string bomb;
  for (size_t i = 0; i < depth; ++i) bomb += "{\"a\":";
  const size_t colon = text.find(':');
  if (colon != std::string::npos) text.insert(colon + 1, bomb);
}

void mutate(std::string& text, Dice& dice) {
  using Mutation = void (*)(std::string&, Dice&);
  constexpr std::array<Mutation, 8> kMutations{change_number,  change_number, insert_token,
                                               repeat_stretch, erase_stretch, flip_bit,
                                               flip_bit,       nest};
  const uint64_t count = 1 + dice.below(3);
  for (uint64_t i = 0; i < count; ++i) dice.pick(kMutations)(text, dice);
}

struct Parts {
  std::string header;
  size_t buffer_bytes = 0;
};

Parts valid_parts(Dice& dice) {
  struct Kind {
    const char* dtype;
    size_t bytes;
  };
  constexpr std::array<Kind, 4> kKinds{{{"F32", 4}, {"BF16", 2}, {"U8", 1}, {"X9", 3}}};
  std::vector<std::string> entries;
  size_t at = 0;
  const uint64_t count = dice.below(5);
  for (uint64_t i = 0; i < count; ++i) {
    const Kind& kind = dice.pick(kKinds);
    const size_t rows = dice.below(3), columns = dice.below(4);
    const size_t end = at + rows * columns * kind.bytes;
    entries.push_back(fmt::format(
        R"("blocks.{}.w\u00e9":{{"dtype":"{}","shape":[{},{}],"data_offsets":[{},{}]}})", i,
        kind.dtype, rows, columns, at, end));
    at = end;
  }
  if (dice.below(2) == 0) entries.insert(entries.begin(), R"("__metadata__":{"format":"pt"})");
  return {fmt::format("{{{}}}{:{}}", fmt::join(entries, ","), "", dice.below(8)), at};
}

std::string assembled(const Parts& parts, uint64_t length) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>((length >> (8 * i)) & 0xffu);
  return file + parts.header + std::string(parts.buffer_bytes, '\0');
}

std::string index_text(Dice& dice) {
  std::vector<std::string> entries;
  const uint64_t count = dice.below(6);
  for (uint64_t i = 0; i < count; ++i) {
    entries.push_back(fmt::format(R"("t{}":"model-{:05}-of-00003.safetensors")", i, dice.below(3)));
  }
  return fmt::format(R"({{"metadata":{{"total_size":{}}},"weight_map":{{{}}}}})", dice.below(1000),
                     fmt::join(entries, ","));
}

}  // namespace

std::string valid_safetensors(uint64_t seed) {
  Dice dice(seed);
  const Parts parts = valid_parts(dice);
  return assembled(parts, parts.header.size());
}

std::string mutated_safetensors(uint64_t seed) {
  Dice dice(seed);
  Parts parts = valid_parts(dice);
  mutate(parts.header, dice);
  // Mostly the true length, so that the damage is reached.
  constexpr std::array<uint64_t, 4> kLengths{0, 100'000'001, UINT64_MAX, UINT64_MAX - 7};
  uint64_t length = parts.header.size();
  const uint64_t choice = dice.below(32);
  if (choice == 0) length = dice.pick(kLengths);
  if (choice == 1) length += dice.below(4);
  if (choice == 2) parts.buffer_bytes += 1;
  std::string file = assembled(parts, length);
  if (choice == 3) file.resize(dice.below(file.size()));
  return file;
}

std::string valid_index(uint64_t seed) {
  Dice dice(seed);
  return index_text(dice);
}

std::string mutated_index(uint64_t seed) {
  Dice dice(seed);
  std::string text = index_text(dice);
  mutate(text, dice);
  return text;
}

}  // namespace sparsescope::testing
