// Head classes as the literature draws them, by where a head's attention falls at an equal budget:
// spatial (own frame), temporal (own place in all frames), local 3D, sink (the same keys for all
// queries), global (everywhere alike), or none of these.
//
// Budget f: every candidate below may keep the share f of all query-key pairs, so that a head that
// attends evenly gives each of them the mass f, its chance level. Masses are shares of the
// attention among video tokens.
//
//   Neighbourhood of axes A, a subset of {t, h, w}: all keys whose tile lies at most r tiles from
//   the query's tile along the axes of A, and in the same tile along the others; r grows from 0.
//   Once A is covered the rest of the frame grows in the same way, then time. Where the budget
//   falls between two radii, the ring between them counts for the share of its pairs that the
//   budget still covers.
//     temporal   A = t
//     spatial    the best of A = hw, h, w
//     local 3D   the best of A = thw, th, tw
//   An axis of one tile tells nothing and belongs to no A.
//   Sink: the key tiles with the most mass a key, one set for all queries; the last one in part.
//
// The gain of a mass m is (m - f) / (1 - f): 0 at chance, 1 where nothing is missed. The winner is
// the candidate with the largest mass; the others must be ahead of local 3D by kClassMargin,
// because all neighbourhoods share the own tile and tie on heads that look nowhere else. It names
// the class from a gain of kClearGain on. A head whose winner gains at most kEvenGain is global;
// one in between fits no class. Resolution is the tile: within a tile nothing is told apart.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "core/token_grid.h"

namespace sparsescope {

inline constexpr double kClearGain = 0.5;
inline constexpr double kEvenGain = 0.1;
inline constexpr double kClassMargin = 0.02;

enum class HeadClass { kSpatial, kTemporal, kLocal3d, kGlobal, kSink, kNone };
inline constexpr size_t kNumHeadClasses = 6;
std::string_view to_string(HeadClass head_class);  // "spatial", ..., "local_3d", "none"

struct HeadClassification {
  HeadClass head_class = HeadClass::kNone;
  // Mass that each candidate holds at the budget.
  double spatial = 0, temporal = 0, local_3d = 0, sink = 0;
  double chance = 0;  // of each of them: the budget
};

// offset_mass [tiles_t, tiles_h, tiles_w]: mean over rows of the probability on the key tiles at
// that absolute tile offset. key_mass [N]. 0 < budget < 1. Masses need not sum to 1 (text keys).
HeadClassification classify_head(const TileGrid& tiles, std::span<const float> offset_mass,
                                 std::span<const float> key_mass, double budget);

// The offset mass of a head that attends evenly: the share of pairs at each offset.
std::vector<float> even_offset_mass(const TileGrid& tiles);

// Share of the heads in each class, by HeadClass; that of kNone fits no class.
std::array<double, kNumHeadClasses> class_shares(std::span<const HeadClass> heads);

// The parts of the rule. axes: whether t, h and w belong to A.
double neighbourhood_mass(const TileGrid& tiles, std::span<const float> offset_mass,
                          const std::array<bool, 3>& axes, double budget);
double heaviest_keys_mass(const TileGrid& tiles, std::span<const float> key_mass, double budget);

}  // namespace sparsescope
