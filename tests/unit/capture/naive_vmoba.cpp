#include "unit/capture/naive_vmoba.h"

namespace sparsescope::naive {

VmobaFacts vmoba_facts(const Call& call, const std::vector<Matrix>& probs,
                       const Partition& partition, const std::set<int32_t>& rows) {
  const TileGrid blocks = partition_blocks(partition, call.grid);
  const int64_t D = call.head_dim;
  VmobaFacts facts;
  facts.keys = call.grid.tokens();
  facts.blocks = blocks.num_tiles();
  std::vector<int32_t> token;  // [rows] raster index by rank
  for (int64_t c = 0; c < facts.blocks; ++c) {
    for (const int32_t raster : blocks.tokens_of(c)) {
      if (!rows.empty() && !rows.contains(raster)) continue;
      token.push_back(raster);
      facts.self.push_back(static_cast<int32_t>(c));
    }
    facts.size.push_back(static_cast<double>(blocks.size(c)));
  }
  for (int64_t h = 0; h < call.heads; ++h) {
    for (int64_t c = 0; c < facts.blocks; ++c) {
      std::vector<double> sum(D);
      for (const int32_t raster : blocks.tokens_of(c)) {
        for (int64_t d = 0; d < D; ++d) sum[d] += call.key(h, call.prefix + raster)[d];
      }
      for (size_t s = 0; s < token.size(); ++s) {
        double gate = 0, mass = 0;
        for (int64_t d = 0; d < D; ++d) {
          const auto mean = static_cast<float>(sum[d] / facts.size[c]);
          gate += static_cast<double>(mean) * call.query(h, call.prefix + token[s])[d];
        }
        for (const int32_t raster : blocks.tokens_of(c)) {
          mass += probs[h][token[s]][call.prefix + raster];
        }
        facts.gate.push_back(static_cast<float>(gate));
        facts.mass.push_back(mass);
      }
    }
  }
  return facts;
}

std::vector<HeadResult> apply_rule(const VmobaFacts& facts, int64_t heads, const GateRule& rule) {
  const auto S = std::ssize(facts.self);
  const auto mask = select_blocks({facts.gate.data(), heads, facts.blocks, S, facts.self}, rule);
  std::vector<HeadResult> results(heads);
  size_t at = 0;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t c = 0; c < facts.blocks; ++c) {
      for (int64_t s = 0; s < S; ++s, ++at) {
        if (mask[at] == 0) continue;
        results[h].density += facts.size[c] / static_cast<double>(S * facts.keys);
        results[h].recall += facts.mass[at] / static_cast<double>(S);
      }
    }
  }
  return results;
}

}  // namespace sparsescope::naive
