// The settings of one attention call's method, and their way from option texts. The table of
// options is the one place where they are named: the command takes its options from it, and an
// option that belongs to another method is refused.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "core/token_grid.h"
#include "sparse/bsa_options.h"
#include "sparse/vmoba_options.h"
#include "sparse/vsa_rounding.h"

namespace sparsescope {

struct DenseSettings {
  std::optional<TileShape> mass_block;  // tiles of the masses that are recorded
};

struct VsaSettings {
  TileShape block;
  int64_t top_k = 1;  // 1 .. N
  VsaRounding rounding = VsaRounding::kExact;
};

struct BsaSettings {
  TileShape block;
  BsaOptions options;
};

using MethodSettings = std::variant<DenseSettings, VsaSettings, BsaSettings, VmobaOptions>;

struct MethodOption {
  std::string_view name;     // "--block"
  std::string_view methods;  // "vsa bsa"
  bool flag = false;         // takes no value
  std::string_view help;
};

std::span<const MethodOption> method_options();

// Options as typed, by name; a flag has an empty text.
using OptionTexts = std::map<std::string, std::string, std::less<>>;

// method: dense, vsa, bsa or vmoba. Error(kUsage) names the option, what it allows and what was
// found; also for one that another method owns and for values that the grid cannot meet.
MethodSettings parse_method_settings(std::string_view method, const OptionTexts& texts,
                                     const TokenGrid& grid);

}  // namespace sparsescope
